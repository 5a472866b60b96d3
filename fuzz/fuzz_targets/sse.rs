//! Any bytes as an event stream, cut anywhere: no panic, and the same however they are cut.
#![no_main]

use libfuzzer_sys::fuzz_target;
use llm_observatory::instrument::{Anthropic, OpenAi, Progress, Protocol, ReadChunk, Sse};

fn read<P: Protocol>(protocol: P, chunks: &[&[u8]]) -> String {
    let (mut sse, mut progress) = (Sse::new(protocol), Progress::default());
    for chunk in chunks {
        sse.read(*chunk, &mut progress);
    }
    ReadChunk::<[u8]>::end(&mut sse, &mut progress);
    format!("{progress:?}")
}

fuzz_target!(|input: (usize, &[u8])| {
    let (cut, bytes) = input;
    let (left, right) = bytes.split_at(cut.min(bytes.len()));
    assert_eq!(read(OpenAi, &[bytes]), read(OpenAi, &[left, right]));
    assert_eq!(read(Anthropic, &[bytes]), read(Anthropic, &[left, right]));
});
