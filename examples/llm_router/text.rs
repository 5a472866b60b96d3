//! Generates English text of any length from a small grammar, for the embedded engines' answers and the client's
//! prompts.
//!
//! One word is one token, which makes exact counts possible on both ends of the connection.

use std::sync::LazyLock;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Sentence patterns; a capital letter stands for any Adjective, Noun, Verb, aDverb or Preposition.
const SENTENCES: [&str; 8] = [
    "the A N V the N D",
    "one A N that V the N will D reach the A N",
    "when the N is A , every N V its A N",
    "no N V the N without its A N",
    "D , the N V some A N P the A N",
    "we ask the A N , and the N answers D",
    "each N V another N , so the A N V the N",
    "first the N V the A N , then it rests P the N",
];
const ADJECTIVES: &[&str] = &[
    "quiet", "warm", "careful", "distant", "early", "patient", "bright", "hidden", "steady",
    "curious", "small", "old",
];
const NOUNS: &[&str] = &[
    "river",
    "engine",
    "letter",
    "garden",
    "question",
    "lantern",
    "bridge",
    "teacher",
    "signal",
    "harbour",
    "forest",
    "answer",
    "clock",
    "traveller",
    "window",
    "song",
];
const VERBS: &[&str] = &[
    "follows",
    "carries",
    "remembers",
    "meets",
    "guides",
    "measures",
    "opens",
    "repairs",
    "watches",
    "finds",
];
const ADVERBS: &[&str] = &[
    "slowly", "often", "gladly", "rarely", "quietly", "twice", "together", "soon",
];
const PREPOSITIONS: &[&str] = &["beside", "under", "beyond", "near", "behind", "across"];

/// An endless text, which is the same for the same seed.
#[derive(Debug)]
pub(crate) struct Prose {
    random: StdRng,
    sentence: std::iter::Peekable<std::str::SplitAsciiWhitespace<'static>>,
    starts: bool,
}

impl Prose {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            random: StdRng::seed_from_u64(seed),
            sentence: "".split_ascii_whitespace().peekable(),
            starts: true,
        }
    }

    /// Appends `count` words. Each word except the first of the text has a leading space, as tokens have.
    pub(crate) fn write(&mut self, count: u32, text: &mut String) {
        for _ in 0..count {
            if !std::mem::take(&mut self.starts) {
                text.push(' ');
            }
            self.write_word(text);
        }
    }

    fn write_word(&mut self, text: &mut String) {
        let begins_sentence = self.sentence.peek().is_none();
        if begins_sentence {
            let sentence = self.pick(&SENTENCES);
            self.sentence = sentence.split_ascii_whitespace().peekable();
        }
        let class = self.sentence.next().unwrap_or("the");
        let word = match class {
            "A" => self.pick(ADJECTIVES),
            "N" => self.pick(NOUNS),
            "V" => self.pick(VERBS),
            "D" => self.pick(ADVERBS),
            "P" => self.pick(PREPOSITIONS),
            literal => literal,
        };
        let (first, rest) = word.split_at(1);
        if begins_sentence {
            text.push(first.as_bytes()[0].to_ascii_uppercase().into());
        } else {
            text.push_str(first);
        }
        text.push_str(rest);
        // Punctuation belongs to the previous word.
        if self.sentence.next_if_eq(&",").is_some() {
            text.push(',');
        }
        if self.sentence.peek().is_none() {
            text.push('.');
        }
    }

    fn pick(&mut self, words: &[&'static str]) -> &'static str {
        words[self.random.random_range(0..words.len())]
    }
}

/// Counts the tokens of a text.
pub(crate) fn count_tokens(text: &str) -> u32 {
    u32::try_from(text.split_ascii_whitespace().count()).unwrap_or(u32::MAX)
}

/// The maximum length of a prompt in words. The longest prompt of the Azure conversation trace has 14,050 tokens.
const MAX_PROMPT_WORDS: u32 = 32_000;

/// All prompts are slices of one text, so that ten thousand long prompts take no additional memory.
static PROMPTS: LazyLock<(String, Vec<usize>)> = LazyLock::new(|| {
    let mut text = String::new();
    Prose::new(0).write(MAX_PROMPT_WORDS * 2, &mut text);
    let spaces = text.match_indices(' ').map(|(index, _)| index);
    let starts = std::iter::once(0).chain(spaces.map(|index| index + 1));
    let starts = starts.chain(std::iter::once(text.len() + 1)).collect();
    (text, starts)
});

/// Returns a prompt of `tokens` words (at most 32,000); another `variation` gives another text.
pub(crate) fn prompt(tokens: u32, variation: u32) -> &'static str {
    let (text, starts) = &*PROMPTS;
    let first = (variation % MAX_PROMPT_WORDS) as usize;
    let last = first + tokens.min(MAX_PROMPT_WORDS) as usize;
    if first == last {
        return "";
    }
    &text[starts[first]..starts[last] - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_the_requested_number_of_tokens_wherever_it_is_split() {
        let (mut whole, mut cut) = (String::new(), String::new());
        Prose::new(7).write(500, &mut whole);
        let mut prose = Prose::new(7);
        for count in [1, 2, 97, 400] {
            prose.write(count, &mut cut);
        }
        assert_eq!(whole, cut);
        assert_eq!(count_tokens(&whole), 500);
    }

    #[test]
    fn a_prompt_has_the_requested_number_of_tokens() {
        for (tokens, variation) in [(0, 3), (1, 0), (2, 5), (14_050, 31_999), (32_000, 31_999)] {
            assert_eq!(count_tokens(prompt(tokens, variation)), tokens);
        }
    }
}
