//! JSON for the messages of the protocol. Not for the documents of an artifact, whose rules are stricter (SPEC.md
//! chapter 3).

use std::fmt;

/// A JSON value. A number keeps its text, so that an integer of 64 bits stays what it is.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Value>),
    Object(Vec<(String, Value)>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(text.to_string())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::Text(text)
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Value::Number(number.to_string())
    }
}

impl Value {
    /// A member of an object; null where there is none.
    pub fn get(&self, key: &str) -> &Value {
        match self {
            Value::Object(members) => members
                .iter()
                .find(|(name, _)| name == key)
                .map_or(&Value::Null, |(_, value)| value),
            _ => &Value::Null,
        }
    }

    /// A member of an object that is a text.
    pub fn text(&self, key: &str) -> Option<&str> {
        match self.get(key) {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => out.write_str("null"),
            Value::Bool(value) => write!(out, "{value}"),
            Value::Number(text) => out.write_str(text),
            Value::Text(text) => write_text(text, out),
            Value::List(items) => {
                out.write_str("[")?;
                for (i, item) in items.iter().enumerate() {
                    write!(out, "{}{item}", if i > 0 { "," } else { "" })?;
                }
                out.write_str("]")
            }
            Value::Object(members) => {
                out.write_str("{")?;
                for (i, (key, value)) in members.iter().enumerate() {
                    out.write_str(if i > 0 { "," } else { "" })?;
                    write_text(key, out)?;
                    write!(out, ":{value}")?;
                }
                out.write_str("}")
            }
        }
    }
}

fn write_text(text: &str, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    out.write_str("\"")?;
    for character in text.chars() {
        match character {
            '"' => out.write_str("\\\"")?,
            '\\' => out.write_str("\\\\")?,
            control if (control as u32) < 0x20 => write!(out, "\\u{:04x}", control as u32)?,
            other => write!(out, "{other}")?,
        }
    }
    out.write_str("\"")
}

/// The value of a text, or what is wrong with it.
pub fn parse(text: &str) -> Result<Value, String> {
    let mut parser = Parser {
        text: text.as_bytes(),
        place: 0,
    };
    let value = parser.value()?;
    parser.space();
    if parser.place < text.len() {
        parser.wrong("something behind the value")
    } else {
        Ok(value)
    }
}

struct Parser<'a> {
    text: &'a [u8],
    place: usize,
}

impl Parser<'_> {
    fn wrong<T>(&self, what: &str) -> Result<T, String> {
        Err(format!("no JSON: {what} at byte {}", self.place))
    }

    fn space(&mut self) {
        while self
            .text
            .get(self.place)
            .is_some_and(u8::is_ascii_whitespace)
        {
            self.place += 1;
        }
    }

    /// Steps over a byte if it is next, after any white space.
    fn eats(&mut self, byte: u8) -> bool {
        self.space();
        let found = self.text.get(self.place) == Some(&byte);
        self.place += usize::from(found);
        found
    }

    fn value(&mut self) -> Result<Value, String> {
        self.space();
        let rest = &self.text[self.place..];
        let words = [
            ("null", Value::Null),
            ("true", Value::Bool(true)),
            ("false", Value::Bool(false)),
        ];
        if let Some((word, value)) = words
            .into_iter()
            .find(|(word, _)| rest.starts_with(word.as_bytes()))
        {
            self.place += word.len();
            return Ok(value);
        }
        match rest.first() {
            Some(b'{') => self.object(),
            Some(b'[') => self.list(),
            Some(b'"') => self.string().map(Value::Text),
            _ => self.number(),
        }
    }

    fn object(&mut self) -> Result<Value, String> {
        self.place += 1;
        let mut members = vec![];
        while !self.eats(b'}') {
            if !members.is_empty() && !self.eats(b',') {
                return self.wrong("no comma");
            }
            self.space();
            let key = self.string()?;
            if !self.eats(b':') {
                return self.wrong("no colon");
            }
            members.push((key, self.value()?));
        }
        Ok(Value::Object(members))
    }

    fn list(&mut self) -> Result<Value, String> {
        self.place += 1;
        let mut items = vec![];
        while !self.eats(b']') {
            if !items.is_empty() && !self.eats(b',') {
                return self.wrong("no comma");
            }
            items.push(self.value()?);
        }
        Ok(Value::List(items))
    }

    fn number(&mut self) -> Result<Value, String> {
        let start = self.place;
        while self
            .text
            .get(self.place)
            .is_some_and(|byte| byte.is_ascii_digit() || b"+-.eE".contains(byte))
        {
            self.place += 1;
        }
        let token = String::from_utf8_lossy(&self.text[start..self.place]).into_owned();
        if token.parse::<f64>().is_ok() {
            Ok(Value::Number(token))
        } else {
            self.wrong("no value")
        }
    }

    fn string(&mut self) -> Result<String, String> {
        if self.text.get(self.place) != Some(&b'"') {
            return self.wrong("no string");
        }
        self.place += 1;
        let mut bytes = vec![];
        loop {
            let Some(&byte) = self.text.get(self.place) else {
                return self.wrong("a string without end");
            };
            self.place += 1;
            match byte {
                b'"' => return String::from_utf8(bytes).or_else(|_| self.wrong("no UTF-8")),
                b'\\' => {
                    let character = self.escape()?;
                    bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                }
                other => bytes.push(other),
            }
        }
    }

    fn escape(&mut self) -> Result<char, String> {
        let Some(&letter) = self.text.get(self.place) else {
            return self.wrong("a string without end");
        };
        self.place += 1;
        Ok(match letter {
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let first = self.hex()?;
                let pair = (0xd800..0xdc00).contains(&first)
                    && self.text[self.place..].starts_with(b"\\u");
                let code = if pair {
                    self.place += 2;
                    0x10000 + ((first - 0xd800) << 10) + (self.hex()?.wrapping_sub(0xdc00) & 0x3ff)
                } else {
                    first
                };
                char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            other => char::from(other),
        })
    }

    fn hex(&mut self) -> Result<u32, String> {
        let digits = self
            .text
            .get(self.place..self.place + 4)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()) {
            Some(code) => {
                self.place += 4;
                Ok(code)
            }
            None => self.wrong("no escape"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn values_come_back() {
        let text = r#"{"a":[1,-2.5e3,true,null,{}],"b":"\u0001\"\\ä😀"}"#;
        assert_eq!(parse(text).unwrap().to_string(), text);
        assert_eq!(
            parse(r#" [ "\ud83d\ude00\n" , 1 ] "#).unwrap().to_string(),
            r#"["😀\u000a",1]"#
        );
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "{", "[1 2]", "{\"a\"}", "nul", "1 1", "\"", "\"\\u12\""] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
