//! Which attributes are content: what users and models say, what tools are given, and headers.

/// Whole names.
const NAMES: &[&str] = &[
    "answer",
    "arguments",
    "authorization",
    "completion",
    "completions",
    "content",
    "cookie",
    "headers",
    "input",
    "input.value",
    "input_text",
    "instructions",
    "llm.prompts",
    "message.content",
    "messages",
    "output",
    "output.value",
    "output_text",
    "password",
    "prompt",
    "prompts",
    "request_body",
    "response_body",
    "secret",
    "set-cookie",
    "system_prompt",
    "tool.arguments",
    "tool.parameters",
    "tool_arguments",
    "tool_result",
    "url.query",
    "api_key",
    "x-api-key",
];

/// Beginnings of names: the `GenAI` conventions', `OpenInference`'s, and captured headers.
const BEGINNINGS: &[&str] = &[
    "gen_ai.completion",
    "gen_ai.content",
    "gen_ai.evaluation.explanation",
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "gen_ai.prompt",
    "gen_ai.retrieval.query",
    "gen_ai.system_instructions",
    "gen_ai.tool.call.arguments",
    "gen_ai.tool.call.result",
    "gen_ai.tool.definitions",
    "http.request.body",
    "http.request.header.",
    "http.response.body",
    "http.response.header.",
    "llm.input_messages",
    "llm.output_messages",
    "llm.prompt_template",
    "rpc.grpc.request.metadata.",
    "rpc.grpc.response.metadata.",
    "tool_call.function.arguments",
];

/// Names with such a beginning that say only how much there was.
const SIZES: &[&str] = &["http.request.body.size", "http.response.body.size"];

pub(super) fn is_content(key: &str) -> bool {
    if SIZES.iter().any(|name| key.eq_ignore_ascii_case(name)) {
        return false;
    }
    NAMES.iter().any(|name| key.eq_ignore_ascii_case(name))
        || BEGINNINGS.iter().any(|beginning| {
            key.get(..beginning.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(beginning))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_tokens_and_names_of_models_are_no_content() {
        for key in [
            "prompt_tokens",
            "completion_tokens",
            "gen_ai.request.model",
            "gen_ai.usage.input_tokens",
            "http.response.body.size",
        ] {
            assert!(!is_content(key), "{key}");
        }
        for key in [
            "Prompt",
            "gen_ai.prompt.0.content",
            "http.request.header.Authorization",
            "http.request.body",
            "http.request.body.size.text",
        ] {
            assert!(is_content(key), "{key}");
        }
    }
}
