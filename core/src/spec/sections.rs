//! The sections of a pipeline for input and output: source, sink, late events and dead letters.

use serde::{Deserialize, Serialize};

use crate::time::TimeUnit;

/// `[source]`: where events come from, and which of their fields are used.
/// ```
/// use stream_processor_core::spec::{Source};
/// let options: Source = serde_json::from_str(r#"{"key": "service", "value": ["latency", "bytes"]}"#)?;
/// assert_eq!((options.timestamp.as_str(), options.value.0.len()), ("ts", 2));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Source {
    /// The kind of source.
    pub r#type: SourceType,
    /// The file or files to read in order, for `type = "file"`; .gz and .zst files are
    /// decompressed.
    #[serde(skip_serializing_if = "Names::is_empty")]
    pub path: Names,
    /// The text format of events.
    pub format: Format,
    /// The character between the fields of CSV; default: that which separates most names of the
    /// header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<Delimiter>,
    /// The field that contains the event time: RFC 3339 text, or a number in `timestamp_unit`.
    pub timestamp: String,
    /// The unit of numeric event times.
    pub timestamp_unit: TimeUnit,
    /// The form of event times, as of strftime, such as `%d/%m/%Y %H:%M:%S`. For the program only:
    /// the engine does not read it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp_format: Option<String>,
    /// The zone of event times that name none: `UTC`, an offset, or a name; default: UTC. For the
    /// program only: the engine does not read it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp_zone: Option<String>,
    /// The field or fields that form the key; none: all events form one stream.
    #[serde(skip_serializing_if = "Names::is_empty")]
    pub key: Names,
    /// The treatment of events that lack a field of their key.
    #[serde(skip_serializing_if = "OnNullKey::is_default")]
    pub on_null_key: OnNullKey,
    /// The numeric field or fields of events. The first is the default field of the stages.
    #[serde(skip_serializing_if = "Names::is_empty")]
    pub value: Names,
    /// The fields of `value` that an event must have.
    #[serde(skip_serializing_if = "Require::is_default")]
    pub require: Require,
    /// Texts that stand for a missing value, such as `NA`.
    #[serde(skip_serializing_if = "Names::is_empty")]
    pub null: Names,
    /// The field that contains the partition of an event. Each partition has its own watermark.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition: Option<String>,
}

impl Default for Source {
    fn default() -> Self {
        Self {
            r#type: SourceType::default(),
            path: Names::default(),
            format: Format::default(),
            delimiter: None,
            timestamp: "ts".to_owned(),
            timestamp_unit: TimeUnit::default(),
            timestamp_format: None,
            timestamp_zone: None,
            key: Names::default(),
            on_null_key: OnNullKey::default(),
            value: Names::default(),
            require: Require::default(),
            null: Names::default(),
            partition: None,
        }
    }
}

/// The kind of a source.
/// ```
/// use stream_processor_core::spec::SourceType;
/// assert_eq!(serde_json::from_str::<SourceType>(r#""stdin""#)?, SourceType::Stdin);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum SourceType {
    /// Standard input.
    #[default]
    Stdin,
    /// The files of `path`.
    File,
}

/// The text format of events and rows.
/// ```
/// use stream_processor_core::spec::Format;
/// assert_eq!(serde_json::from_str::<Format>(r#""csv""#)?, Format::Csv);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// One JSON object per line.
    #[default]
    Ndjson,
    /// CSV by RFC 4180, with a header line.
    Csv,
}

/// The character between the fields of CSV.
/// ```
/// use stream_processor_core::spec::Delimiter;
/// assert_eq!(serde_json::from_str::<Delimiter>(r#""tab""#)?, Delimiter::Tab);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Delimiter {
    /// A comma.
    #[serde(rename = ",")]
    Comma,
    /// A semicolon.
    #[serde(rename = ";")]
    Semicolon,
    /// A tab.
    #[serde(rename = "tab", alias = "\t")]
    Tab,
    /// A vertical bar.
    #[serde(rename = "|")]
    Bar,
}

impl Delimiter {
    /// All delimiters. If several separate equally many names of a header, the first one counts.
    pub(crate) const ALL: [Self; 4] = [Self::Comma, Self::Semicolon, Self::Tab, Self::Bar];

    /// Returns the character.
    #[must_use]
    pub fn byte(self) -> u8 {
        match self {
            Self::Comma => b',',
            Self::Semicolon => b';',
            Self::Tab => b'\t',
            Self::Bar => b'|',
        }
    }
}

/// The fields of `source.value` that an event must have. An event without them is rejected.
/// ```
/// use stream_processor_core::spec::Require;
/// assert_eq!(serde_json::from_str::<Require>(r#""all""#)?, Require::All);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Require {
    /// All of them.
    All,
    /// At least one of them.
    #[default]
    Any,
    /// None of them.
    None,
}

/// The treatment of an event that lacks a field of its key, or has null there.
/// ```
/// use stream_processor_core::spec::OnNullKey;
/// assert_eq!(serde_json::from_str::<OnNullKey>(r#""keep""#)?, OnNullKey::Keep);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum OnNullKey {
    /// The event is rejected as `missing_field`.
    #[default]
    Reject,
    /// The event is skipped, as by a filter.
    Drop,
    /// Null is a value of the key, and rows have it.
    Keep,
}

impl OnNullKey {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Require {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Format {
    /// Returns the format by the name of a file, without its extension for compression; `None` if
    /// the name does not tell.
    /// ```
    /// use stream_processor_core::spec::Format;
    /// assert_eq!(Format::of_path("rows.csv.gz"), Some(Format::Csv));
    /// assert_eq!(Format::of_path("rows.txt"), None);
    /// ```
    #[must_use]
    pub fn of_path(path: &str) -> Option<Self> {
        let name = path.strip_suffix(".gz").or(path.strip_suffix(".zst")).unwrap_or(path);
        let ends = |extension: &str| {
            let stem = name.strip_suffix(extension).and_then(|stem| stem.strip_suffix('.'));
            stem.is_some_and(|stem| !stem.is_empty() && !stem.ends_with(['/', '\\']))
        };
        match () {
            () if ends("csv") => Some(Self::Csv),
            () if ends("ndjson") || ends("jsonl") => Some(Self::Ndjson),
            () => None,
        }
    }
}

/// `[sink]`: where rows go.
/// ```
/// use stream_processor_core::spec::{Sink};
/// let options: Sink = serde_json::from_str(r#"{"type": "file", "path": "rows.ndjson"}"#)?;
/// assert_eq!(options.path.as_deref(), Some("rows.ndjson"));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Sink {
    /// The kind of sink.
    pub r#type: SinkType,
    /// The file to write, for `type = "file"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The text format of rows.
    pub format: Format,
}

/// The kind of a sink.
/// ```
/// use stream_processor_core::spec::SinkType;
/// assert_eq!(serde_json::from_str::<SinkType>(r#""file""#)?, SinkType::File);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum SinkType {
    /// Standard output.
    #[default]
    Stdout,
    /// The file of `path`.
    File,
}

/// `[late]` and `[dead_letter]`: an NDJSON file.
/// ```
/// use stream_processor_core::spec::{OutputPath};
/// let options: OutputPath = serde_json::from_str(r#"{"path": "dead.ndjson"}"#)?;
/// assert_eq!(options.path, "dead.ndjson");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct OutputPath {
    /// The file to write.
    pub path: String,
}

/// Zero or more names: a text or a list of texts in a pipeline file.
/// ```
/// use stream_processor_core::spec::Names;
/// assert_eq!(serde_json::from_str::<Names>(r#""zone""#)?, Names(vec!["zone".into()]));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names(pub Vec<String>);

impl Names {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Names {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [name] => name.serialize(serializer),
            names => names.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Names;

            fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str("a name or a list of names")
            }

            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Names, E> {
                Ok(Names(vec![name.to_owned()]))
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(
                self,
                mut seq: A,
            ) -> Result<Names, A::Error> {
                let mut names = Vec::new();
                while let Some(name) = seq.next_element()? {
                    names.push(name);
                }
                Ok(Names(names))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Names {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Names".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A name or a list of names.",
            "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }],
        })
    }
}
