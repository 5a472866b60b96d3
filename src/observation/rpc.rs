//! Remote procedure calls: gRPC status codes and their HTTP status codes.

/// The remote procedure that an HTTP request calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rpc<'a> {
    /// `package.Service/Method`; `_OTHER` for a method that the server does not know.
    pub method: &'a str,
    /// The server's status; `None` for a call without a response.
    pub status: Option<RpcStatus>,
    /// Number of received messages, if counted.
    pub received: Option<u64>,
    /// Number of sent messages, if counted.
    pub sent: Option<u64>,
}

macro_rules! statuses {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $name:literal, $http:literal;)*) => {
        /// A gRPC status.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum RpcStatus { $($(#[$doc])* $variant = $number,)* }

        impl RpcStatus {
            /// Every status, in the order of its number.
            pub const ALL: [Self; 17] = [$(Self::$variant,)*];

            /// Returns the name, `DEADLINE_EXCEEDED`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Returns the HTTP status code by the mapping of `google/rpc/code.proto`.
            #[must_use]
            pub const fn http_status(self) -> u16 {
                match self { $(Self::$variant => $http,)* }
            }
        }
    };
}

statuses! {
    /// The call succeeded.
    Ok = 0, "OK", 200;
    /// The caller cancelled the call.
    Cancelled = 1, "CANCELLED", 499;
    /// The call failed for an unknown reason.
    Unknown = 2, "UNKNOWN", 500;
    /// The request is invalid.
    InvalidArgument = 3, "INVALID_ARGUMENT", 400;
    /// The deadline passed.
    DeadlineExceeded = 4, "DEADLINE_EXCEEDED", 504;
    /// The requested resource does not exist.
    NotFound = 5, "NOT_FOUND", 404;
    /// The resource to create exists already.
    AlreadyExists = 6, "ALREADY_EXISTS", 409;
    /// The caller lacks the permission.
    PermissionDenied = 7, "PERMISSION_DENIED", 403;
    /// A quota is exhausted.
    ResourceExhausted = 8, "RESOURCE_EXHAUSTED", 429;
    /// The state of the system does not allow it.
    FailedPrecondition = 9, "FAILED_PRECONDITION", 400;
    /// A conflict with another operation.
    Aborted = 10, "ABORTED", 409;
    /// A value is out of range.
    OutOfRange = 11, "OUT_OF_RANGE", 400;
    /// The server does not implement the method.
    Unimplemented = 12, "UNIMPLEMENTED", 501;
    /// Internal error of the server.
    Internal = 13, "INTERNAL", 500;
    /// The server is unavailable; the caller may retry.
    Unavailable = 14, "UNAVAILABLE", 503;
    /// Data is lost.
    DataLoss = 15, "DATA_LOSS", 500;
    /// The caller is not authenticated.
    Unauthenticated = 16, "UNAUTHENTICATED", 401;
}

impl RpcStatus {
    /// Parses a number (`4`, as in `grpc-status`) or a name (`DEADLINE_EXCEEDED`). A number that gRPC does not define is
    /// [`RpcStatus::Unknown`], as gRPC requires.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.parse::<usize>() {
            Ok(number) => Some(Self::ALL.get(number).copied().unwrap_or(Self::Unknown)),
            Err(_) => Self::ALL
                .into_iter()
                .find(|status| status.as_str().eq_ignore_ascii_case(text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_parse() {
        for (number, status) in RpcStatus::ALL.into_iter().enumerate() {
            assert_eq!(status as usize, number);
            assert_eq!(RpcStatus::parse(&number.to_string()), Some(status));
            assert_eq!(RpcStatus::parse(status.as_str()), Some(status));
        }
        assert_eq!(RpcStatus::parse("99"), Some(RpcStatus::Unknown));
        assert_eq!(RpcStatus::parse("fine"), None);
    }

    /// The statuses that the semantic conventions define as server errors map to a 5xx status code.
    #[test]
    fn server_errors_map_to_5xx() {
        use RpcStatus::{
            DataLoss, DeadlineExceeded, Internal, Unavailable, Unimplemented, Unknown,
        };
        let faults: Vec<_> = RpcStatus::ALL
            .into_iter()
            .filter(|status| status.http_status() >= 500)
            .collect();
        assert_eq!(
            faults,
            [
                Unknown,
                DeadlineExceeded,
                Unimplemented,
                Internal,
                Unavailable,
                DataLoss
            ]
        );
    }
}
