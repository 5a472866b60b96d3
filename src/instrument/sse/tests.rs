//! Reads golden streams, split at every byte, and random bytes.

use proptest::prelude::*;

use super::*;
use crate::observation::{TokenSource, Tokens};

const CHAT: &str = include_str!("golden/openai_chat.txt");
const CHAT_WITHOUT_USAGE: &str = include_str!("golden/openai_chat_without_usage.txt");
const CHAT_TOOLS: &str = include_str!("golden/openai_chat_tools.txt");
const CHAT_ERROR: &str = include_str!("golden/openai_chat_error.txt");
const COMPLETIONS: &str = include_str!("golden/openai_completions.txt");
const RESPONSES: &str = include_str!("golden/openai_responses.txt");
const RESPONSES_FAILED: &str = include_str!("golden/openai_responses_failed.txt");
const MESSAGES: &str = include_str!("golden/anthropic_messages.txt");
const MESSAGES_OVERLOADED: &str = include_str!("golden/anthropic_overloaded.txt");

/// The state at the end of a stream: tokens, model, failure, completeness.
type Read = (Tokens, Option<String>, Option<String>, bool);

fn read<P: Protocol>(mut sse: Sse<P>, chunks: &[&[u8]]) -> Read {
    let mut progress = Progress::default();
    for chunk in chunks {
        sse.read(*chunk, &mut progress);
    }
    ReadChunk::<[u8]>::end(&mut sse, &mut progress);
    let debug = format!("{progress:?}");
    let field = |name: &str| {
        let value = debug.split(&format!("{name}: Some(\"")).nth(1)?;
        value.split('"').next().map(str::to_owned)
    };
    (
        progress.usage_so_far(),
        field("model"),
        field("failure"),
        progress.is_finished(),
    )
}

/// The same whole, cut in two anywhere, byte by byte, and with other line ends.
fn check<P: Protocol>(sse: impl Fn() -> Sse<P>, text: &str, expected: &Read) {
    for text in [
        text.to_owned(),
        text.replace('\n', "\r\n"),
        text.replace('\n', "\r"),
    ] {
        let bytes = text.as_bytes();
        assert_eq!(&read(sse(), &[bytes]), expected, "whole");
        for cut in 0..bytes.len() {
            let (left, right) = bytes.split_at(cut);
            assert_eq!(&read(sse(), &[left, right]), expected, "cut at {cut}");
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(&read(sse(), &single), expected, "byte by byte");
    }
}

fn ended(tokens: Tokens, model: &str) -> Read {
    (tokens, Some(model.to_owned()), None, true)
}

#[test]
fn chat_completions_are_read_the_same_however_they_are_cut() {
    let usage = Tokens::new(19, 10).with_cached(8);
    check(Sse::openai, CHAT, &ended(usage, "gpt-4o-2024-08-06"));
}

#[test]
fn without_usage_each_delta_with_content_is_a_token() {
    let mut counted = Tokens::unknown().with_source(TokenSource::Counted);
    counted.output = Some(3);
    check(
        Sse::openai,
        CHAT_WITHOUT_USAGE,
        &ended(counted, "llama-3.1-8b"),
    );
}

#[test]
fn tool_calls_and_reasoning_are_content() {
    let mut counted = Tokens::unknown().with_source(TokenSource::Counted);
    counted.output = Some(5);
    check(
        Sse::openai,
        CHAT_TOOLS,
        &ended(counted, "deepseek-reasoner"),
    );
}

#[test]
fn an_error_amid_a_stream_is_its_class_and_not_its_message() {
    let mut counted = Tokens::unknown().with_source(TokenSource::Counted);
    counted.output = Some(1);
    let failed = Some("rate_limit_exceeded".to_owned());
    check(
        Sse::openai,
        CHAT_ERROR,
        &(counted, Some("gpt-4o".to_owned()), failed, false),
    );
}

#[test]
fn completions_are_read_by_their_text() {
    check(
        Sse::openai,
        COMPLETIONS,
        &ended(Tokens::new(4, 2), "gpt-3.5-turbo-instruct"),
    );
}

#[test]
fn responses_are_read_by_their_types() {
    let usage = Tokens::new(37, 11).with_cached(0);
    check(Sse::openai, RESPONSES, &ended(usage, "gpt-4.1-2025-04-14"));
    let mut counted = Tokens::unknown().with_source(TokenSource::Counted);
    counted.output = Some(1);
    let failed = Some("server_error".to_owned());
    check(
        Sse::openai,
        RESPONSES_FAILED,
        &(counted, Some("gpt-4.1".to_owned()), failed, false),
    );
}

#[test]
fn messages_count_cached_tokens_as_input() {
    let usage = Tokens::new(25 + 100 + 40, 15).with_cached(100);
    check(Sse::anthropic, MESSAGES, &ended(usage, "claude-sonnet-4-5"));
}

#[test]
fn a_message_that_breaks_off_is_estimated_from_its_text() {
    let mut estimated = Tokens::unknown().with_source(TokenSource::Estimated);
    estimated.input = Some(25);
    estimated.output = Some(2); // "Hello!" has 6 bytes
    let failed = Some("overloaded_error".to_owned());
    check(
        Sse::anthropic,
        MESSAGES_OVERLOADED,
        &(
            estimated,
            Some("claude-sonnet-4-5".to_owned()),
            failed,
            false,
        ),
    );
}

#[test]
fn an_answer_at_once_tells_its_usage() {
    use crate::instrument::Usage as _;
    let chat = br#"{"choices":[{"message":{"content":"hi"}}],"usage":{"prompt_tokens":5,"completion_tokens":7.0}}"#;
    assert_eq!(OpenAi.usage(chat.as_slice()), Tokens::new(5, 7));
    let message = br#"{"type":"message","usage":{"input_tokens":5,"output_tokens":7,"cache_read_input_tokens":2}}"#;
    assert_eq!(
        Anthropic.usage(message.as_slice()),
        Tokens::new(7, 7).with_cached(2)
    );
    assert_eq!(OpenAi.usage("no json"), Tokens::unknown());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_bytes_are_read_and_any_cut_is_the_same(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
        cut in 0_usize..400,
    ) {
        let (left, right) = bytes.split_at(cut.min(bytes.len()));
        prop_assert_eq!(read(Sse::openai(), &[&bytes]), read(Sse::openai(), &[left, right]));
        prop_assert_eq!(read(Sse::anthropic(), &[&bytes]), read(Sse::anthropic(), &[left, right]));
    }

    #[test]
    fn a_golden_stream_that_is_damaged_never_panics(
        which in 0_usize..4,
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..20),
        cut in any::<proptest::sample::Index>(),
    ) {
        let mut bytes = [CHAT, RESPONSES, MESSAGES, CHAT_TOOLS][which].as_bytes().to_vec();
        for (place, byte) in damage {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        let (left, right) = bytes.split_at(cut.index(bytes.len()));
        prop_assert_eq!(read(Sse::openai(), &[&bytes]), read(Sse::openai(), &[left, right]));
        prop_assert_eq!(read(Sse::anthropic(), &[&bytes]), read(Sse::anthropic(), &[left, right]));
    }
}
