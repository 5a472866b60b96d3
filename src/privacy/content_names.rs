//! Lists the names of attributes that hold content: prompts, completions, tool arguments, and headers.

/// Full names.
const NAMES: &[&str] = &[
    "access_token",
    "ai.prompt",
    "answer",
    "arguments",
    "auth_token",
    "authorization",
    "body",
    "client_secret",
    "completion",
    "completions",
    "content",
    "cookie",
    "headers",
    "id_token",
    "input",
    "input.value",
    "input_text",
    "instructions",
    "message.content",
    "messages",
    "output",
    "output.value",
    "output_text",
    "passwd",
    "password",
    "private_key",
    "prompt",
    "prompts",
    "proxy-authorization",
    "refresh_token",
    "request",
    "request_body",
    "response",
    "response_body",
    "secret",
    "set-cookie",
    "system_prompt",
    "tool.arguments",
    "tool.output",
    "tool.parameters",
    "tool_arguments",
    "tool_result",
    "url.query",
    "user_prompt",
    "api_key",
    "x-api-key",
    "x-auth-token",
];

/// Prefixes of names: of the `GenAI` conventions, `OpenInference`, `OpenLLMetry`, the AI SDK, and captured headers.
const PREFIXES: &[&str] = &[
    "ai.prompt.",
    "embedding.embeddings.",
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
    "llm.function_call",
    "llm.input_messages",
    "llm.output_messages",
    "llm.prompt_template",
    "llm.prompts",
    "reranker.input_documents",
    "reranker.output_documents",
    "reranker.query",
    "retrieval.documents",
    "rpc.grpc.request.metadata.",
    "rpc.grpc.response.metadata.",
    "tool_call.function.arguments",
    "traceloop.entity.input",
    "traceloop.entity.output",
];

/// Names that have such a prefix but hold only a size.
const SIZES: &[&str] = &["http.request.body.size", "http.response.body.size"];

/// Returns `true` if an attribute of this name holds content. Content is never a label, and leaves the process in a trace
/// or log line only if the configuration allows it.
pub(crate) fn is_content(key: &str) -> bool {
    if SIZES.iter().any(|name| key.eq_ignore_ascii_case(name)) {
        return false;
    }
    NAMES.iter().any(|name| key.eq_ignore_ascii_case(name))
        || PREFIXES.iter().any(|beginning| {
            key.get(..beginning.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(beginning))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_counts_and_model_names_are_not_content() {
        for key in [
            "prompt_tokens",
            "completion_tokens",
            "gen_ai.request.model",
            "gen_ai.usage.input_tokens",
            "http.response.body.size",
            "embedding.model_name",
            "reranker.top_k",
            "request_id",
        ] {
            assert!(!is_content(key), "{key}");
        }
        for key in [
            "Prompt",
            "gen_ai.prompt.0.content",
            "http.request.header.Authorization",
            "http.request.body",
            "http.request.body.size.text",
            "retrieval.documents.0.document.content",
            "embedding.embeddings.0.embedding.text",
            "reranker.query",
            "llm.function_call",
            "llm.prompts.0",
            "tool.output",
            "request",
            "response",
            "body",
            "user_prompt",
            "traceloop.entity.input",
            "ai.prompt.messages",
        ] {
            assert!(is_content(key), "{key}");
        }
    }
}
