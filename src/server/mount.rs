//! Access to the endpoints that are mounted in a router of the application.

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderValue, header},
    middleware::{Next, from_fn_with_state},
    response::Response,
    routing::MethodRouter,
};

use super::{endpoints::ServerState, refusal::Refusal, token::has_token};
use crate::privacy::Secret;

/// Selects whether an endpoint is mounted, and which requests it answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum EndpointAccess {
    /// The endpoint is not mounted.
    Off,
    /// The endpoint answers every request.
    #[default]
    Open,
    /// The endpoint answers requests with the header `authorization: Bearer …` and this token, and refuses others with
    /// status 401. An empty token refuses every request.
    Token(Secret),
}

impl EndpointAccess {
    /// Requires a token.
    pub fn token(token: impl Into<Secret>) -> Self {
        Self::Token(token.into())
    }

    /// Adds the endpoint to a router.
    pub(super) fn mount(
        self,
        router: Router<ServerState>,
        path: &str,
        endpoint: MethodRouter<ServerState>,
        state: &ServerState,
    ) -> Router<ServerState> {
        match self {
            Self::Off => router,
            Self::Open => router.route(path, endpoint),
            Self::Token(token) => {
                let check = from_fn_with_state((state.clone(), token), check_token);
                router.route(path, endpoint.layer(check))
            }
        }
    }
}

async fn check_token(
    State((state, token)): State<(ServerState, Secret)>,
    request: Request,
    next: Next,
) -> Response {
    if has_token(request.headers(), token.expose()) {
        return next.run(request).await;
    }
    let message = "this needs the header `authorization: Bearer …` with the token of the endpoint";
    let mut answer = Refusal::Token.answer(&state.sources, message);
    let scheme = HeaderValue::from_static("Bearer");
    answer
        .headers_mut()
        .insert(header::WWW_AUTHENTICATE, scheme);
    answer
}
