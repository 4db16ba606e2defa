//! Arithmetic expressions on numeric columns: parsed once, evaluated for a batch at a time.
//!
//! An expression has numbers, field names (in backquotes if they are not plain words), `+ - * /`,
//! and parentheses. Its functions are `abs`, `ceil`, `coalesce`, `floor`, `max`, `min`, `round` and
//! `sqrt`. An operation on a missing number gives a missing one. Only `coalesce(a, b)` differs: it
//! is b if a is missing.
//!
//! [`parse`] turns text into [`Step`]s in postfix order, and [`compute`] evaluates them with a
//! stack of columns.

mod compute;

use core::fmt;

pub(crate) use compute::compute;

/// Maximum nesting of parentheses, signs and calls.
const MAX_DEPTH: usize = 64;

/// An operation in postfix order: its operands precede it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Step {
    Constant(f64),
    /// Pushes a column, by its index.
    Column(usize),
    /// Applies an operation to one value.
    Unary(Unary),
    /// Applies an operation to two values; the second was pushed last.
    Binary(Binary),
}

/// An operation on one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unary {
    Negate,
    Abs,
    Ceil,
    Floor,
    Round,
    Sqrt,
}

/// An operation on two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Binary {
    Add,
    Subtract,
    Multiply,
    Divide,
    Max,
    Min,
    Coalesce,
}

/// An error in an expression, with its location.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ExpressionError {
    /// The location in the text, in bytes from 0.
    at: usize,
    message: String,
}

impl fmt::Display for ExpressionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at byte {}: {}", self.at + 1, self.message)
    }
}

/// Parses `text` into steps. `column` returns the index of a field, or what is wrong with its name.
#[inline]
pub(crate) fn parse(
    text: &str,
    column: &mut dyn FnMut(&str) -> Result<usize, String>,
) -> Result<Vec<Step>, ExpressionError> {
    let mut parser = Parser { text, at: 0, depth: 0, steps: Vec::new(), column };
    parser.sum()?;
    match parser.peek() {
        None => Ok(parser.steps),
        Some(_) => parser.fail("expected an operator or the end"),
    }
}

/// Returns every field that `text` names, up to the first syntax error.
#[inline]
pub(crate) fn fields(text: &str) -> Vec<String> {
    let mut fields = Vec::new();
    let mut collect = |name: &str| {
        fields.push(name.to_owned());
        Ok(0)
    };
    // Syntax errors are reported when the pipeline is planned.
    let _ = parse(text, &mut collect);
    fields
}

/// A recursive-descent parser that emits steps in postfix order.
struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    steps: Vec<Step>,
    column: &'a mut dyn FnMut(&str) -> Result<usize, String>,
}

type Parsed = Result<(), ExpressionError>;

impl Parser<'_> {
    fn fail<T>(&self, message: impl Into<String>) -> Result<T, ExpressionError> {
        Err(ExpressionError { at: self.at, message: message.into() })
    }

    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Returns the next character that is not white space.
    fn peek(&mut self) -> Option<char> {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
        self.rest().chars().next()
    }

    fn take(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += if found { wanted.len_utf8() } else { 0 };
        found
    }

    #[inline]
    fn sum(&mut self) -> Parsed {
        self.product()?;
        loop {
            let operation = match self.peek() {
                Some('+') => Binary::Add,
                Some('-') => Binary::Subtract,
                _ => return Ok(()),
            };
            self.at += 1;
            self.product()?;
            self.steps.push(Step::Binary(operation));
        }
    }

    #[inline]
    fn product(&mut self) -> Parsed {
        self.value()?;
        loop {
            let operation = match self.peek() {
                Some('*') => Binary::Multiply,
                Some('/') => Binary::Divide,
                _ => return Ok(()),
            };
            self.at += 1;
            self.value()?;
            self.steps.push(Step::Binary(operation));
        }
    }

    #[inline]
    fn value(&mut self) -> Parsed {
        if self.depth == MAX_DEPTH {
            return self.fail(format!("more than {MAX_DEPTH} levels of nesting"));
        }
        self.depth += 1;
        let parsed = match self.peek() {
            Some('-') => {
                self.at += 1;
                self.value().map(|()| self.steps.push(Step::Unary(Unary::Negate)))
            }
            Some('(') => {
                self.at += 1;
                self.sum().and_then(|()| self.expect(')'))
            }
            Some('`') => self.quoted(),
            Some('0'..='9' | '.') => self.number(),
            Some(letter) if letter == '_' || letter.is_alphabetic() => self.word(),
            _ => self.fail("expected a number, a field, a function or `(`"),
        };
        self.depth -= 1;
        parsed
    }

    fn expect(&mut self, wanted: char) -> Parsed {
        if self.take(wanted) { Ok(()) } else { self.fail(format!("expected `{wanted}`")) }
    }

    #[inline]
    fn number(&mut self) -> Parsed {
        let mut before = ' ';
        let end = self.rest().find(|character: char| {
            let is_sign_of_exponent = matches!(character, '+' | '-') && matches!(before, 'e' | 'E');
            before = character;
            !(character.is_ascii_alphanumeric() || character == '.' || is_sign_of_exponent)
        });
        let text = self.rest().get(..end.unwrap_or(self.rest().len())).unwrap_or_default();
        match crate::number::parse_f64(text.as_bytes()).filter(|value| value.is_finite()) {
            Some(value) => {
                self.at += text.len();
                self.steps.push(Step::Constant(value));
                Ok(())
            }
            None => self.fail(format!("`{text}` is not a number")),
        }
    }

    fn quoted(&mut self) -> Parsed {
        let name = self.rest().get(1..).and_then(|rest| rest.split_once('`')).map(|(name, _)| name);
        let Some(name) = name.map(ToOwned::to_owned) else {
            return self.fail("the name is not closed: expected another backquote");
        };
        self.field(&name)?;
        self.at += name.len() + 2;
        Ok(())
    }

    fn word(&mut self) -> Parsed {
        let is_part = |character: char| character == '_' || character.is_alphanumeric();
        let rest = self.rest();
        let end_from = |at: usize| {
            let after = rest.get(at..).unwrap_or_default();
            after.find(|character| !is_part(character)).map_or(rest.len(), |length| at + length)
        };
        let mut end = end_from(0);
        // A path, such as `payload.ms`.
        while let Some(name) = rest.get(end..).and_then(|after| after.strip_prefix('.'))
            && name.starts_with(|first: char| first == '_' || first.is_alphabetic())
        {
            end = end_from(end + 1);
        }
        let word = rest.get(..end).unwrap_or_default().to_owned();
        if !rest.get(end..).unwrap_or_default().trim_start().starts_with('(') {
            self.field(&word)?;
            self.at += word.len();
            return Ok(());
        }
        let function = match word.as_str() {
            "abs" => Step::Unary(Unary::Abs),
            "ceil" => Step::Unary(Unary::Ceil),
            "floor" => Step::Unary(Unary::Floor),
            "round" => Step::Unary(Unary::Round),
            "sqrt" => Step::Unary(Unary::Sqrt),
            "max" => Step::Binary(Binary::Max),
            "min" => Step::Binary(Binary::Min),
            "coalesce" => Step::Binary(Binary::Coalesce),
            _ => {
                let known = ["abs", "ceil", "coalesce", "floor", "max", "min", "round", "sqrt"];
                let expected = crate::spec::expected(&word, &known);
                return self.fail(format!("unknown function `{word}`, {expected}"));
            }
        };
        self.at += word.len();
        self.expect('(')?;
        self.sum()?;
        if matches!(function, Step::Binary(_)) {
            self.expect(',')?;
            self.sum()?;
        }
        self.expect(')')?;
        self.steps.push(function);
        Ok(())
    }

    fn field(&mut self, name: &str) -> Parsed {
        match (self.column)(name) {
            Ok(column) => {
                self.steps.push(Step::Column(column));
                Ok(())
            }
            Err(message) => self.fail(message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str, a: f64, b: f64) -> f64 {
        let names = ["a", "b", "the b"];
        let mut column = |name: &str| {
            names.iter().position(|known| *known == name).ok_or_else(|| format!("no `{name}`"))
        };
        let steps = parse(text, &mut column).unwrap();
        let columns = [[a], [b], [b]];
        compute(&steps, 1, |place| &columns[place])[0]
    }

    #[test]
    fn operators_follow_usual_precedence() {
        for (text, due) in [
            ("1 + 2 * 3", 7.0),
            ("(1 + 2) * 3", 9.0),
            ("10 - 4 - 3", 3.0),
            ("24 / 4 / 2", 3.0),
            ("-a + -(-b)", 1.0),
            ("a/b", 2.0 / 3.0),
            ("`the b`*1e-1", 3.0 * 1e-1),
            ("max(a, b) - min(a,b)", 1.0),
            ("round(2.5) + round(-2.5)", 1.0),
            ("floor(-1.5) * ceil(1.2)", -4.0),
            ("sqrt(a*8)+abs(a-b)", 5.0),
            ("coalesce(a, 5)", 2.0),
            (" 1.5E+1 ", 15.0),
        ] {
            assert_eq!(value(text, 2.0, 3.0), due, "{text}");
        }
    }

    #[test]
    fn missing_operands_and_non_finite_results_are_missing() {
        for text in ["a + 1", "max(a, 1)", "min(1, a)", "1 / (b - b)", "sqrt(-b)", "round(a)"] {
            assert!(value(text, f64::NAN, 3.0).is_nan(), "{text}");
        }
        assert_eq!(value("coalesce(a, b) + coalesce(1 / 0 - 1 / 0, 2)", f64::NAN, 3.0), 5.0);
    }

    #[test]
    fn errors_contain_position() {
        let deep = "(".repeat(100);
        for (text, due) in [
            ("", "at byte 1: expected a number, a field, a function or `(`"),
            ("a +", "at byte 4: expected a number, a field, a function or `(`"),
            ("a b", "at byte 3: expected an operator or the end"),
            ("(a", "at byte 3: expected `)`"),
            ("1x", "at byte 1: `1x` is not a number"),
            ("sqr(a)", "at byte 1: unknown function `sqr`, did you mean `sqrt`?"),
            ("max(a)", "at byte 6: expected `,`"),
            ("`a", "at byte 1: the name is not closed"),
            ("c", "at byte 1: no `c`"),
            (&deep, "at byte 65: more than 64 levels"),
        ] {
            let mut column =
                |name: &str| if name == "a" { Ok(0) } else { Err(format!("no `{name}`")) };
            let error = parse(text, &mut column).unwrap_err().to_string();
            assert!(error.starts_with(due), "{text}: {error}");
        }
    }
}
