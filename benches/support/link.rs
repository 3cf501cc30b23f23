//! The links: what is spoken from the clients to a peer, and from it to the upstream.

/// One way to come and to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub(crate) enum Link {
    /// HTTP/1.1 without TLS on both sides.
    Plain,
    /// HTTP/1.1 by TLS to the upstream.
    Tls,
    /// HTTP/2 by TLS to the upstream, from peers that can; HTTP/1.1 by TLS from others.
    H2,
    /// HTTP/2 from the clients, without TLS, as in a mesh; HTTP/1.1 without TLS to the upstream.
    ClientH2,
    /// HTTP/2 by TLS from the clients; to the upstream as `h2`.
    BothH2,
}

/// What clients speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClientSide {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 by prior knowledge.
    Http2,
    /// HTTP/2 by TLS.
    Http2Tls,
}

/// What the upstream speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UpstreamSide {
    /// HTTP/1.1.
    Plain,
    /// HTTP/1.1 by TLS.
    Tls,
    /// HTTP/2 by TLS with who asks for it.
    Http2,
}

impl UpstreamSide {
    /// What a URL of it begins with.
    pub(crate) fn scheme(self) -> &'static str {
        match self {
            Self::Plain => "http",
            Self::Tls | Self::Http2 => "https",
        }
    }
}

impl Link {
    /// Its name, before its figures and in `--link`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Tls => "tls",
            Self::H2 => "h2",
            Self::ClientH2 => "client-h2",
            Self::BothH2 => "both-h2",
        }
    }

    /// A figure, or a goal, of this link: that of the plain one has no prefix.
    pub(crate) fn named(self, figure: &str) -> String {
        match self {
            Self::Plain => figure.to_owned(),
            _ => format!("{}: {figure}", self.name()),
        }
    }

    /// What clients speak.
    pub(crate) fn client(self) -> ClientSide {
        match self {
            Self::Plain | Self::Tls | Self::H2 => ClientSide::Http1,
            Self::ClientH2 => ClientSide::Http2,
            Self::BothH2 => ClientSide::Http2Tls,
        }
    }

    /// What the upstream speaks.
    pub(crate) fn upstream(self) -> UpstreamSide {
        match self {
            Self::Plain | Self::ClientH2 => UpstreamSide::Plain,
            Self::Tls => UpstreamSide::Tls,
            Self::H2 | Self::BothH2 => UpstreamSide::Http2,
        }
    }
}
