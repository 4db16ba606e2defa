//! Conditions of `--where`, such as `status >= 500 and not host == test`.
//!
//! ```text
//! any        = all { "or" all }
//! all        = one { "and" one }
//! one        = "not" one | "(" any ")" | comparison
//! comparison = field operator value | field "in" "(" value { "," value } ")" | field "missing"
//! ```
//!
//! Fields and texts may be quoted by `'`, `"` or a backtick. A value without quotes is a number,
//! `true` or `false` if it reads as one, otherwise a text.

use std::iter::Peekable;
use std::vec::IntoIter;

use serde_json::{Number, Value, json};

/// A condition, as in a pipeline file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct WhereArg(pub(crate) Value);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// A name, a word or a value without quotes.
    Word(String),
    Quoted(String),
    Operator(&'static str),
}

/// The operators and their names in pipeline files. Longer ones come first.
const OPERATORS: [(&str, &str); 10] = [
    ("==", "=="),
    ("!=", "!="),
    ("<=", "<="),
    (">=", ">="),
    ("=", "=="),
    ("<", "<"),
    (">", ">"),
    ("(", "("),
    (")", ")"),
    (",", ","),
];

const COMPARISONS: [&str; 6] = ["==", "!=", "<", "<=", ">", ">="];

impl std::str::FromStr for WhereArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut tokens = tokens(text)?.into_iter().peekable();
        let condition = any(&mut tokens)?;
        match tokens.next() {
            None => Ok(Self(condition)),
            Some(more) => Err(format!("unexpected {}: join conditions by and, or", shown(&more))),
        }
    }
}

type Tokens = Peekable<IntoIter<Token>>;

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        if let Some((symbol, name)) = OPERATORS.iter().find(|(symbol, _)| rest.starts_with(symbol))
        {
            tokens.push(Token::Operator(name));
            rest = rest.get(symbol.len()..).unwrap_or_default();
        } else if matches!(first, '\'' | '"' | '`') {
            let inner = rest.get(1..).unwrap_or_default();
            let (quoted, after) = inner
                .split_once(first)
                .ok_or_else(|| format!("the quote {first} is not closed"))?;
            tokens.push(Token::Quoted(quoted.to_owned()));
            rest = after;
        } else {
            let ends = |c: char| c.is_whitespace() || "=!<>(),'\"`".contains(c);
            let end = rest.find(ends).unwrap_or(rest.len());
            if end == 0 {
                return Err(format!("unexpected {first:?}"));
            }
            let (word, after) = rest.split_at(end);
            tokens.push(Token::Word(word.to_owned()));
            rest = after;
        }
        rest = rest.trim_start();
    }
    Ok(tokens)
}

fn any(tokens: &mut Tokens) -> Result<Value, String> {
    joined(tokens, "or", "any", all)
}

fn all(tokens: &mut Tokens) -> Result<Value, String> {
    joined(tokens, "and", "all", one)
}

/// Parses conditions that are joined by `word`; several become one of the kind `combination`.
fn joined(
    tokens: &mut Tokens,
    word: &str,
    combination: &str,
    part: fn(&mut Tokens) -> Result<Value, String>,
) -> Result<Value, String> {
    let mut parts = vec![part(tokens)?];
    while tokens.next_if(|token| is_word(token, word)).is_some() {
        parts.push(part(tokens)?);
    }
    match <[Value; 1]>::try_from(parts) {
        Ok([only]) => Ok(only),
        Err(several) => Ok(json!({ combination: several })),
    }
}

fn one(tokens: &mut Tokens) -> Result<Value, String> {
    if tokens.next_if(|token| is_word(token, "not")).is_some() {
        return Ok(json!({ "not": one(tokens)? }));
    }
    if tokens.next_if_eq(&Token::Operator("(")).is_some() {
        let inner = any(tokens)?;
        close(tokens)?;
        return Ok(inner);
    }
    comparison(tokens)
}

fn comparison(tokens: &mut Tokens) -> Result<Value, String> {
    let field = match tokens.next() {
        Some(Token::Word(field) | Token::Quoted(field)) => field,
        other => return Err(expected("a field", other.as_ref())),
    };
    match tokens.next() {
        Some(Token::Operator(op)) if COMPARISONS.contains(&op) => {
            Ok(json!({ "field": field, "op": op, "value": value(tokens)? }))
        }
        Some(Token::Word(word)) if word == "missing" => {
            Ok(json!({ "field": field, "op": "missing" }))
        }
        Some(Token::Word(word)) if word == "in" => {
            if tokens.next_if_eq(&Token::Operator("(")).is_none() {
                return Err(expected("a list in parentheses", tokens.peek()));
            }
            let mut values = vec![value(tokens)?];
            while tokens.next_if_eq(&Token::Operator(",")).is_some() {
                values.push(value(tokens)?);
            }
            close(tokens)?;
            Ok(json!({ "field": field, "op": "in", "value": values }))
        }
        other => Err(expected("==, !=, <, <=, >, >=, in or missing", other.as_ref())),
    }
}

fn close(tokens: &mut Tokens) -> Result<(), String> {
    match tokens.next() {
        Some(Token::Operator(")")) => Ok(()),
        other => Err(expected("a closing parenthesis", other.as_ref())),
    }
}

fn value(tokens: &mut Tokens) -> Result<Value, String> {
    match tokens.next() {
        Some(Token::Quoted(text)) => Ok(text.into()),
        Some(Token::Word(word)) => Ok(match word.as_str() {
            "true" => true.into(),
            "false" => false.into(),
            word => word.parse::<Number>().map_or_else(|_| word.into(), Value::Number),
        }),
        other => Err(expected("a value", other.as_ref())),
    }
}

fn is_word(token: &Token, word: &str) -> bool {
    matches!(token, Token::Word(found) if found == word)
}

fn expected(what: &str, found: Option<&Token>) -> String {
    let found = found.map_or("the end".to_owned(), shown);
    format!("expected {what}, found {found}, in a condition such as 'status >= 500'")
}

fn shown(token: &Token) -> String {
    match token {
        Token::Word(text) | Token::Quoted(text) => format!("{text:?}"),
        Token::Operator(name) => format!("{name:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<String, String> {
        text.parse::<WhereArg>().map(|condition| condition.0.to_string())
    }

    #[test]
    fn comparisons_have_numbers_texts_and_lists() {
        let cases = [
            ("status >= 500", r#"{"field":"status","op":">=","value":500}"#),
            ("a<-1.5e3", r#"{"field":"a","op":"<","value":-1500.0}"#),
            ("host=web-1", r#"{"field":"host","op":"==","value":"web-1"}"#),
            ("host != '500'", r#"{"field":"host","op":"!=","value":"500"}"#),
            ("`a b` == true", r#"{"field":"a b","op":"==","value":true}"#),
            ("code in (500, \"x, y\")", r#"{"field":"code","op":"in","value":[500,"x, y"]}"#),
            ("user.id missing", r#"{"field":"user.id","op":"missing"}"#),
        ];
        for (text, json) in cases {
            assert_eq!(parsed(text).as_deref(), Ok(json), "{text}");
        }
    }

    #[test]
    fn and_binds_closer_than_or() {
        let plain = |text: &str| {
            let text = parsed(text).unwrap();
            text.replace(r#""op":"missing""#, "").replace(r#""field":"#, "").replace(',', " ")
        };
        assert_eq!(
            plain("a missing or b missing and not c missing"),
            r#"{"any":[{"a" } {"all":[{"b" } {"not":{"c" }}]}]}"#
        );
        assert_eq!(
            plain("(a missing or b missing) and c missing"),
            r#"{"all":[{"any":[{"a" } {"b" }]} {"c" }]}"#
        );
    }

    #[test]
    fn error_says_what_is_expected() {
        let cases = [
            ("", "expected a field, found the end"),
            ("status", "expected ==, !="),
            ("status ~ 5", "expected ==, !="),
            ("status >=", "expected a value, found the end"),
            ("status > 5 host == a", "unexpected \"host\""),
            ("(a > 5", "expected a closing parenthesis"),
            ("a in 5", "expected a list in parentheses"),
            ("a == 'b", "the quote ' is not closed"),
            ("a ! b", "unexpected '!'"),
        ];
        for (text, message) in cases {
            let error = parsed(text).unwrap_err();
            assert!(error.starts_with(message), "{text}: {error}");
        }
    }
}
