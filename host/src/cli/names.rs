//! Options whose values have names, which `--help` and completions list.

use std::error::Error;
use std::ffi::OsStr;
use std::marker::PhantomData;
use std::str::FromStr;

use clap::builder::{PossibleValue, StringValueParser, TypedValueParser};

/// Parses a `T` and lists names for it. All values that `T` accepts are valid: for a wrong name,
/// the pipeline's error suggests the right one.
#[derive(Clone)]
pub(crate) struct Names<T> {
    names: &'static [&'static str],
    value: PhantomData<fn() -> T>,
}

impl<T> Names<T> {
    pub(crate) fn of(names: &'static [&'static str]) -> Self {
        Self { names, value: PhantomData }
    }
}

impl<T> TypedValueParser for Names<T>
where
    T: FromStr<Err: Into<Box<dyn Error + Send + Sync>>> + Clone + Send + Sync + 'static,
{
    type Value = T;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<T, clap::Error> {
        let parser = StringValueParser::new().try_map(|text: String| text.parse::<T>());
        parser.parse_ref(command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        // `p<any>` stands for many names.
        let names = self.names.iter().filter(|name| !name.contains('<'));
        Some(Box::new(names.map(PossibleValue::new)))
    }
}
