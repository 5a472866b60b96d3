//! Reads counts, short words and text lengths from providers' JSON, and accepts values of any type.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};

/// Max bytes of a word.
const MAX_WORD_BYTES: usize = 128;

/// Keys whose text is no content.
const FRAMING: [&str; 6] = ["role", "type", "id", "call_id", "index", "signature"];

/// A JSON value of any type: the count, the word, and the bytes of all texts without those of framing keys.
///
/// A value of an unexpected type is ignored; the other fields of the object are still read.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Loose {
    count: Option<u64>,
    word: String,
    text_bytes: usize,
}

impl Loose {
    /// Returns the count of a number.
    pub(super) const fn count(&self) -> Option<u64> {
        self.count
    }

    /// Returns a short text: a type, a model's name, an error's code; empty for other values.
    pub(super) fn word(&self) -> &str {
        &self.word
    }

    /// Returns the bytes of text; 0 for a value without content.
    pub(super) const fn text_bytes(&self) -> usize {
        self.text_bytes
    }
}

impl<'de> Deserialize<'de> for Loose {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LooseVisitor)
    }
}

struct LooseVisitor;

impl<'de> Visitor<'de> for LooseVisitor {
    type Value = Loose;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_unit<E>(self) -> Result<Loose, E> {
        Ok(Loose::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Loose, E> {
        Ok(Loose::default())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Loose, E> {
        Ok(Loose {
            count: Some(number),
            word: number.to_string(),
            text_bytes: 0,
        })
    }

    fn visit_i64<E>(self, number: i64) -> Result<Loose, E> {
        Ok(Loose {
            count: u64::try_from(number).ok(),
            ..Loose::default()
        })
    }

    fn visit_f64<E>(self, number: f64) -> Result<Loose, E> {
        Ok(Loose {
            // `as` saturates, and the Layer drops a count above 2^40.
            count: (number >= 0.0).then_some(number as u64),
            ..Loose::default()
        })
    }

    fn visit_str<E>(self, text: &str) -> Result<Loose, E> {
        Ok(Loose {
            count: None,
            word: if text.len() <= MAX_WORD_BYTES {
                text.to_owned()
            } else {
                String::new()
            },
            text_bytes: text.len(),
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Loose, A::Error> {
        let mut whole = Loose::default();
        while let Some(item) = items.next_element::<Loose>()? {
            whole.text_bytes += item.text_bytes;
        }
        Ok(whole)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Loose, A::Error> {
        let mut whole = Loose::default();
        while let Some(key) = entries.next_key::<Key>()? {
            if key.is_framing {
                entries.next_value::<IgnoredAny>()?;
            } else {
                whole.text_bytes += entries.next_value::<Loose>()?.text_bytes;
            }
        }
        Ok(whole)
    }
}

struct Key {
    is_framing: bool,
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;

        impl Visitor<'_> for KeyVisitor {
            type Value = Key;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_str<E>(self, key: &str) -> Result<Key, E> {
                Ok(Key {
                    is_framing: FRAMING.contains(&key),
                })
            }
        }

        deserializer.deserialize_str(KeyVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loose(json: &str) -> Loose {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn any_value_is_read_and_only_texts_weigh() {
        assert_eq!(loose("12").count(), Some(12));
        assert_eq!(loose("12.7").count(), Some(12));
        assert_eq!(loose("1e300").count(), Some(u64::MAX));
        assert_eq!(loose("-3").count(), None);
        assert_eq!(loose("\"12\"").count(), None);
        assert_eq!(loose("429").word(), "429");
        assert_eq!(loose(r#""rate_limited""#).word(), "rate_limited");
        for (json, bytes) in [
            (r#"{"role":"assistant","content":""}"#, 0),
            (r#"{"role":"assistant","content":null,"tool_calls":[]}"#, 0),
            (r#"{"content":"caf\u00e9"}"#, 5),
            (r#"{"reasoning_content":"so"}"#, 2),
            (
                r#"{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"f","arguments":"{}"}}]}"#,
                3,
            ),
            (r#"[true, 5, null, ["ab"]]"#, 2),
        ] {
            assert_eq!(loose(json).text_bytes(), bytes, "{json}");
        }
    }

    #[test]
    fn what_is_nested_without_end_is_an_error_and_no_overflow() {
        let deep = "[".repeat(100_000);
        assert!(serde_json::from_str::<Loose>(&deep).is_err());
    }
}
