//! The table of all cases that are measured on columns in memory.

use crate::ceilings;
use crate::data::Events;
use crate::loops::Keys;

/// The data set of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Data {
    /// 1,000 keys over one hour.
    Stream,
    /// A million keys by Zipf's law over one hour.
    Zipf,
    /// One series with a tenth as many events, about one each second.
    Series,
    /// Half as many events, each with an id. A fifth of the ids occurs again.
    Ids,
    /// The same ids as JSON events.
    JsonIds,
}

impl Data {
    /// Returns the events of a data set, if the stream has `count` events.
    #[must_use]
    pub fn events(self, count: usize) -> Events {
        match self {
            Self::Stream => Events::new(count),
            Self::Zipf => Events::zipf(count),
            Self::Series => Events::series(count / 10),
            Self::Ids | Self::JsonIds => Events::ids(count / 2),
        }
    }

    /// Returns the name of its file.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Stream => "stream",
            Self::Zipf => "zipf",
            Self::Series => "series",
            Self::Ids | Self::JsonIds => "ids",
        }
    }
}

/// The speed that the native engine must reach.
#[derive(Debug, Clone, Copy)]
pub enum Bar {
    /// A multiple of the speed of the fastest other system.
    Peers(f64),
    /// A multiple of the speed of the plain loop, which runs a crate.
    Loop(f64),
    /// Millions of events per second.
    Speed(f64),
    /// Millions of events per second of the plain loop, which runs a public type of core.
    Type(f64),
    /// A multiple of the time of another case, plus nanoseconds for each row.
    RelativeTo(&'static str, f64, f64),
}

/// A measured case.
pub struct Case {
    /// Its name, also in the script of the other systems.
    pub name: &'static str,
    /// Its data.
    pub data: Data,
    /// The form in which batches hold keys.
    pub keys: Keys,
    /// The stages of the pipeline, as JSON.
    pub stages: &'static str,
    /// The plain loop that is its ceiling.
    pub ceiling: Option<fn(&Events) -> usize>,
    /// The other systems that run the case.
    pub peers: &'static [&'static str],
    /// The required speed.
    pub bar: Bar,
    /// True if the module must reach the bar itself, instead of three quarters of the native speed.
    pub hashing: bool,
}

const BOTH: &[&str] = &["duckdb", "polars"];
const POLARS: &[&str] = &["polars"];

const BASE: Case = Case {
    name: "",
    data: Data::Stream,
    keys: Keys::Ids,
    stages: "",
    ceiling: None,
    peers: &[],
    bar: Bar::Speed(0.0),
    hashing: false,
};
const SERIES: Case = Case { data: Data::Series, keys: Keys::None, ..BASE };
const DEDUP_EXACT: Case = Case {
    name: "dedup exact, ttl 10m",
    data: Data::Ids,
    keys: Keys::None,
    stages: r#"[{"type":"dedup","strategies":["event_id"],"ttl":"10m"}]"#,
    peers: &["duckdb"],
    bar: Bar::Peers(1.5),
    hashing: true,
    ..BASE
};
const DEDUP_BLOOM: Case = Case {
    name: "dedup bloom",
    stages: r#"[{"type":"dedup","strategies":["event_id"],"ttl":"10m","mode":"bloom"}]"#,
    peers: &[],
    bar: Bar::Loop(1.0),
    ..DEDUP_EXACT
};

/// The table.
pub const CASES: &[Case] = &[
    Case {
        name: "tumbling 1m, ids",
        stages: r#"[{"type":"window","window":"tumbling","size":"1m","aggregations":["count","sum","avg","min","max","stddev"]}]"#,
        ceiling: Some(ceilings::moments),
        peers: BOTH,
        bar: Bar::Peers(2.0),
        ..BASE
    },
    Case {
        name: "tumbling 1m, text keys",
        keys: Keys::Text,
        stages: r#"[{"type":"window","window":"tumbling","size":"1m","aggregations":["count","sum","avg","min","max","stddev"]}]"#,
        ceiling: Some(ceilings::moments_of_text),
        peers: BOTH,
        bar: Bar::Peers(1.5),
        hashing: true,
        ..BASE
    },
    Case {
        name: "p50,p95,p99 sketch",
        stages: r#"[{"type":"window","window":"tumbling","size":"1m","aggregations":["p50","p95","p99"]}]"#,
        ceiling: Some(ceilings::buckets),
        peers: BOTH,
        bar: Bar::Peers(3.0),
        ..BASE
    },
    Case {
        name: "p50,p95,p99 exact",
        stages: r#"[{"type":"window","window":"tumbling","size":"1m","aggregations":[{"op":"p50","engine":"exact"},{"op":"p95","engine":"exact"},{"op":"p99","engine":"exact"}]}]"#,
        ceiling: Some(ceilings::all_values),
        peers: BOTH,
        bar: Bar::Peers(1.5),
        ..BASE
    },
    Case {
        name: "p50,p95,p99 tdigest",
        stages: r#"[{"type":"window","window":"tumbling","size":"1m","aggregations":[{"op":"p50","engine":"tdigest"},{"op":"p95","engine":"tdigest"},{"op":"p99","engine":"tdigest"}]}]"#,
        ceiling: Some(ceilings::digests),
        bar: Bar::Loop(1.0),
        ..BASE
    },
    Case {
        name: "sliding 10m/30s",
        stages: r#"[{"type":"window","window":"sliding","size":"10m","slide":"30s","aggregations":["count","sum","avg","min","max","stddev"]}]"#,
        bar: Bar::RelativeTo("tumbling 1m, ids", 1.5, 0.0),
        ..BASE
    },
    Case {
        name: "sliding 1h/1s",
        stages: r#"[{"type":"window","window":"sliding","size":"1h","slide":"1s","aggregations":["count","avg"]}]"#,
        bar: Bar::RelativeTo("tumbling 1m, ids", 2.0, 300.0),
        ..BASE
    },
    Case {
        name: "sliding 1h/1s, percentiles",
        stages: r#"[{"type":"window","window":"sliding","size":"1h","slide":"1s","aggregations":["p50","p95","p99"]}]"#,
        bar: Bar::RelativeTo("tumbling 1m, ids", 2.0, 1_500.0),
        ..BASE
    },
    Case {
        name: "session 30s",
        stages: r#"[{"type":"window","window":"session","gap":"30s","aggregations":["count","sum","avg","min","max"]}]"#,
        peers: BOTH,
        bar: Bar::Peers(3.0),
        ..BASE
    },
    // The gap is shorter than the disorder: sessions of two or three events, merged as often as
    // opened.
    Case {
        name: "session 500ms",
        stages: r#"[{"type":"window","window":"session","gap":"500ms","aggregations":["count","sum","avg","min","max"]}]"#,
        peers: BOTH,
        bar: Bar::Peers(3.0),
        ..BASE
    },
    Case {
        name: "1 M keys, 1h windows",
        data: Data::Zipf,
        stages: r#"[{"type":"window","window":"tumbling","size":"1h","aggregations":["count","sum","avg","min","max","stddev"]}]"#,
        peers: BOTH,
        bar: Bar::RelativeTo("tumbling 1m, ids", 10.0, 0.0),
        hashing: true,
        ..BASE
    },
    Case {
        name: "normalize linear",
        stages: r#"[{"type":"normalize","interval":"1s","basis":"samples","fill":"linear"}]"#,
        ceiling: Some(ceilings::linear),
        peers: &["polars", "numpy"],
        bar: Bar::Speed(40.0),
        ..SERIES
    },
    Case {
        name: "normalize forward",
        stages: r#"[{"type":"normalize","interval":"1s","basis":"samples","fill":"forward"}]"#,
        ceiling: Some(ceilings::forward),
        peers: POLARS,
        bar: Bar::Speed(45.0),
        ..SERIES
    },
    Case {
        name: "normalize zero, aligned",
        stages: r#"[{"type":"normalize","interval":"1s","fill":"zero"}]"#,
        bar: Bar::Speed(45.0),
        ..SERIES
    },
    Case {
        name: "normalize spline",
        stages: r#"[{"type":"normalize","interval":"1s","basis":"samples","fill":"spline"}]"#,
        bar: Bar::Speed(10.0),
        ..SERIES
    },
    Case {
        name: "ema",
        stages: r#"[{"type":"ema","span":20}]"#,
        ceiling: Some(ceilings::ema),
        bar: Bar::Type(100.0),
        ..BASE
    },
    Case {
        name: "zscore",
        stages: r#"[{"type":"zscore"}]"#,
        ceiling: Some(ceilings::zscore),
        bar: Bar::Type(100.0),
        ..BASE
    },
    Case {
        name: "rolling 100 with p95",
        stages: r#"[{"type":"rolling","size":100,"aggregations":["p95"]}]"#,
        ceiling: Some(ceilings::sliding_stats),
        bar: Bar::Type(5.0),
        ..SERIES
    },
    // The other systems, the loops and the engine read the ids as texts.
    Case { ceiling: Some(ceilings::hash_set), ..DEDUP_EXACT },
    Case { ceiling: Some(ceilings::fastbloom), ..DEDUP_BLOOM },
    // The engine and the loops read the ids from JSON. Duckdb reads them as texts.
    Case {
        name: "dedup exact, of JSON",
        data: Data::JsonIds,
        ceiling: Some(ceilings::hash_set_of_json),
        ..DEDUP_EXACT
    },
    Case {
        name: "dedup bloom, of JSON",
        data: Data::JsonIds,
        ceiling: Some(ceilings::fastbloom_of_json),
        ..DEDUP_BLOOM
    },
];

impl Case {
    /// Returns the pipeline as JSON.
    #[must_use]
    pub fn pipeline(&self) -> String {
        let source = match (self.data, self.keys) {
            (Data::Ids | Data::JsonIds, _) => r"{}",
            (_, Keys::None) => r#"{"value":"latency"}"#,
            (_, Keys::Ids | Keys::Text) => r#"{"key":"service","value":"latency"}"#,
        };
        let stages = self.stages;
        format!(r#"{{"source":{source},"time":{{"max_out_of_orderness":"2s"}},"stages":{stages}}}"#)
    }
}
