//! Remote procedure calls: gRPC's status codes, and the HTTP status code that says the same.

/// The remote procedure that an HTTP request calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rpc<'a> {
    /// `package.Service/Method`; `_OTHER` where the server does not know it.
    pub method: &'a str,
    /// How the server answered; `None` where it did not.
    pub status: Option<RpcStatus>,
    /// Messages that came in, as far as they were counted.
    pub received: Option<u64>,
    /// Messages that went out, as far as they were counted.
    pub sent: Option<u64>,
}

macro_rules! statuses {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $name:literal, $http:literal;)*) => {
        /// A status of gRPC.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum RpcStatus { $($(#[$doc])* $variant = $number,)* }

        impl RpcStatus {
            /// Every status, in the order of its number.
            pub const ALL: [Self; 17] = [$(Self::$variant,)*];

            /// Its name, `DEADLINE_EXCEEDED`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The HTTP status code that says the same, by the mapping of `google/rpc/code.proto`.
            #[must_use]
            pub const fn http_status(self) -> u16 {
                match self { $(Self::$variant => $http,)* }
            }
        }
    };
}

statuses! {
    /// It did what was asked.
    Ok = 0, "OK", 200;
    /// The caller gave up.
    Cancelled = 1, "CANCELLED", 499;
    /// It failed, and does not say how.
    Unknown = 2, "UNKNOWN", 500;
    /// The request makes no sense.
    InvalidArgument = 3, "INVALID_ARGUMENT", 400;
    /// The deadline passed.
    DeadlineExceeded = 4, "DEADLINE_EXCEEDED", 504;
    /// What was asked for is not there.
    NotFound = 5, "NOT_FOUND", 404;
    /// What was to be made is there already.
    AlreadyExists = 6, "ALREADY_EXISTS", 409;
    /// The caller may not.
    PermissionDenied = 7, "PERMISSION_DENIED", 403;
    /// A quota is used up.
    ResourceExhausted = 8, "RESOURCE_EXHAUSTED", 429;
    /// The state of the system does not allow it.
    FailedPrecondition = 9, "FAILED_PRECONDITION", 400;
    /// A conflict with another operation.
    Aborted = 10, "ABORTED", 409;
    /// Past the valid range.
    OutOfRange = 11, "OUT_OF_RANGE", 400;
    /// The server does not have this method.
    Unimplemented = 12, "UNIMPLEMENTED", 501;
    /// The server broke.
    Internal = 13, "INTERNAL", 500;
    /// Not now; try again.
    Unavailable = 14, "UNAVAILABLE", 503;
    /// Data is lost.
    DataLoss = 15, "DATA_LOSS", 500;
    /// The caller did not say who it is.
    Unauthenticated = 16, "UNAUTHENTICATED", 401;
}

impl RpcStatus {
    /// Reads a number (`4`, as in `grpc-status`) or a name (`DEADLINE_EXCEEDED`). A number that gRPC does not define
    /// is [`RpcStatus::Unknown`], as gRPC says.
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
    fn numbers_and_names_read_back() {
        for (number, status) in RpcStatus::ALL.into_iter().enumerate() {
            assert_eq!(status as usize, number);
            assert_eq!(RpcStatus::parse(&number.to_string()), Some(status));
            assert_eq!(RpcStatus::parse(status.as_str()), Some(status));
        }
        assert_eq!(RpcStatus::parse("99"), Some(RpcStatus::Unknown));
        assert_eq!(RpcStatus::parse("fine"), None);
    }

    /// The statuses that the semantic conventions call a server's errors are those that become a 5xx.
    #[test]
    fn what_is_the_servers_fault_is_a_5xx() {
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
