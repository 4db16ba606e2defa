//! Environment variables in the texts of a pipeline file: `${NAME}`.

use std::env;

use serde_json::Value;
use stream_processor::spec::SpecError;

/// Values shorter than this are no secrets, and hiding them would garble messages.
const SHORTEST_SECRET: usize = 4;

/// The variables that a pipeline file uses.
#[derive(Debug, Default)]
pub(crate) struct Variables {
    /// Names and values.
    used: Vec<(String, String)>,
}

impl Variables {
    /// Replaces the variables in all texts of a pipeline. Names of fields stay.
    ///
    /// # Errors
    /// As [`Variables::expand`].
    pub(crate) fn expand_all(&mut self, pipeline: &mut Value) -> Result<(), SpecError> {
        self.expand_at("", pipeline)
    }

    fn expand_at(&mut self, path: &str, value: &mut Value) -> Result<(), SpecError> {
        match value {
            Value::String(text) => {
                *text = self.expand(path, std::mem::take(text))?;
                Ok(())
            }
            Value::Array(values) => values
                .iter_mut()
                .enumerate()
                .try_for_each(|(index, value)| self.expand_at(&format!("{path}[{index}]"), value)),
            Value::Object(members) => members.iter_mut().try_for_each(|(name, value)| {
                let separator = if path.is_empty() { "" } else { "." };
                self.expand_at(&format!("{path}{separator}{name}"), value)
            }),
            _ => Ok(()),
        }
    }

    /// Returns `text`, the text of the field at `path`, with the values of its variables. `$${`
    /// stands for `${`.
    ///
    /// # Errors
    /// A variable is not defined or not UTF-8, or `${` does not begin a name in braces.
    fn expand(&mut self, path: &str, text: String) -> Result<String, SpecError> {
        if !text.contains("${") {
            return Ok(text);
        }
        let mut expanded = String::with_capacity(text.len());
        let mut rest = text.as_str();
        while let Some(at) = rest.find("${") {
            let (before, from) = rest.split_at(at);
            let after = from.get(2..).unwrap_or_default();
            if let Some(before) = before.strip_suffix('$') {
                expanded.push_str(before);
                expanded.push_str("${");
                rest = after;
                continue;
            }
            expanded.push_str(before);
            let name = after.split_once('}').filter(|(name, _)| is_name(name));
            let Some((name, after)) = name else {
                let message = "after \"${\" the name of a variable and \"}\" are expected, such as \
                               ${HOME}; \"$${\" stands for the text \"${\"";
                return Err(SpecError::new(path, message));
            };
            let value = env::var(name).map_err(|error| {
                let what = match error {
                    env::VarError::NotPresent => "is not defined: set it",
                    env::VarError::NotUnicode(_) => "is not UTF-8: set it to a text",
                };
                let message = format!(
                    "the environment variable {name} {what}, or write \"$${{{name}}}\" for the text itself"
                );
                SpecError::new(path, message)
            })?;
            expanded.push_str(&value);
            self.used.push((name.to_owned(), value));
            rest = after;
        }
        expanded.push_str(rest);
        Ok(expanded)
    }

    /// Returns `message` with the names of variables in place of their values.
    pub(crate) fn hide(&self, message: &str) -> String {
        let secrets = self.used.iter().filter(|(_, value)| value.len() >= SHORTEST_SECRET);
        secrets.fold(message.to_owned(), |message, (name, value)| {
            message.replace(value.as_str(), &format!("${{{name}}}"))
        })
    }
}

/// Returns whether `name` is the name of a variable.
fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(text: &str) -> Result<String, String> {
        Variables::default().expand("sink.path", text.to_owned()).map_err(|e| e.to_string())
    }

    #[test]
    fn variables_are_replaced_and_escapes_are_not() {
        let path = env::var("PATH").unwrap();
        assert_eq!(expand("a ${PATH}:${PATH} b"), Ok(format!("a {path}:{path} b")));
        for text in ["", "plain", "$5", "$PATH", "{PATH}", "$", "$$"] {
            assert_eq!(expand(text), Ok(text.to_owned()));
        }
        assert_eq!(expand("$${PATH} $$${PATH}"), Ok("${PATH} $${PATH}".to_owned()));
    }

    #[test]
    fn undefined_variable_and_wrong_name_are_errors_of_the_field() {
        let error = expand("x${NO_SUCH_VARIABLE_17}").unwrap_err();
        assert!(
            error.starts_with(
                "sink.path: the environment variable NO_SUCH_VARIABLE_17 is not defined"
            ),
            "{error}"
        );
        for text in ["${", "${}", "${PATH", "${a b}", "${1}"] {
            assert!(expand(text).unwrap_err().contains("a variable"), "{text}");
        }
    }

    #[test]
    fn values_are_hidden_in_messages() {
        let mut variables = Variables::default();
        let value = variables.expand("x", "${PATH}".to_owned()).unwrap();
        assert_eq!(variables.hide(&format!("unknown `{value}`")), "unknown `${PATH}`");
    }
}
