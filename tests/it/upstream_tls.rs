//! TLS towards upstreams: whom we trust, how we prove who we are, and what is said where either fails; over HTTP/1.1 and HTTP/2.

use rcgen::{CertificateParams, SanType, date_time_ymd};
use serde_json::Value;

use crate::support::client::get;
use crate::support::file::File;
use crate::support::http1::Message;
use crate::support::origin::Origin;
use crate::support::process::{Program, Server};
use crate::support::tls::{Authority, Certificate, NAME, Terminator};

/// What the ends agree on, and the version that an upstream sees then.
const VERSIONS: [(&[&str], http::Version); 2] = [
    (&["h2", "http/1.1"], http::Version::HTTP_2),
    (&["http/1.1"], http::Version::HTTP_11),
];

/// An upstream behind TLS.
struct Upstream {
    origin: Origin,
    tls: Terminator,
}

impl Upstream {
    async fn start(certificate: &Certificate, protocols: &[&str]) -> Self {
        Self::asking(None, certificate, protocols).await
    }

    async fn asking(
        clients: Option<&Authority>,
        certificate: &Certificate,
        protocols: &[&str],
    ) -> Self {
        let origin = Origin::start().await;
        let tls = Terminator::asking(clients, certificate, protocols, origin.address).await;
        Self { origin, tls }
    }

    fn url(&self) -> String {
        format!("https://{}/v1", self.tls.address)
    }

    /// A configuration file of this upstream alone, with these settings of `tls`.
    fn config(&self, tls: &str) -> File {
        let url = self.url();
        let text = format!("[[upstream]]\nname = \"a\"\nurl = \"{url}\"\ntls = {{ {tls} }}\n");
        File::new("upstream-tls.toml", text)
    }

    /// Has the proxy called, and says which version of HTTP came.
    async fn answers(&self, server: &Server) -> http::Version {
        let serve = async {
            let call = self.origin.call().await;
            let version = call.head.version;
            call.end("0");
            version
        };
        let (answer, version) = tokio::join!(get(server.proxy, "/v1/models"), serve);
        assert_eq!(answer.status(), 200, "{}", answer.text());
        version
    }
}

async fn serve(config: &File) -> Server {
    Program::configured(config.name()).listen().await
}

/// Calls an upstream that cannot be reached for its certificate, and checks what is told of it in the answer and in the log.
async fn refused(server: &Server, trouble: &str, advice: &str) {
    let answer = get(server.proxy, "/v1/models").await;
    assert_told(&answer, trouble, advice);
    let line = server
        .process
        .message("a call to the upstream failed")
        .await;
    assert_eq!(line["kind"], "certificate_refused", "{line}");
    let error = line["error"].as_str().unwrap();
    assert!(error.contains(trouble) && error.contains(advice), "{error}");
}

fn assert_told(answer: &Message, trouble: &str, advice: &str) {
    assert_eq!(
        (answer.status(), answer.header("x-streamgauge-error")),
        (502, Some("certificate_refused")),
        "{}",
        answer.text()
    );
    let body: Value = serde_json::from_str(answer.text()).unwrap();
    let message = body["error"]["message"].as_str().unwrap();
    assert!(message.contains(trouble), "{trouble:?}: {message}");
    assert!(message.contains(advice), "{advice:?}: {message}");
}

fn same(_: &mut CertificateParams) {}

#[tokio::test]
async fn an_authority_of_the_company_is_trusted_beside_those_of_the_system() {
    let (company, system) = (Authority::new("company"), Authority::new("system"));
    let ca = File::new("company.crt", &company.pem);
    let roots = File::new("system.crt", &system.pem);
    for (protocols, version) in VERSIONS {
        for issuer in [&company, &system] {
            let upstream = Upstream::start(&issuer.issue(same), protocols).await;
            let config = upstream.config(&format!("ca = \"{}\"", ca.name()));
            let program = Program::configured(config.name()).env("SSL_CERT_FILE", roots.name());
            let server = program.listen().await;
            assert_eq!(upstream.answers(&server).await, version);
        }
    }
}

#[tokio::test]
async fn an_upstream_that_asks_is_shown_our_certificate() {
    let authority = Authority::new("company");
    let ours = authority.issue(same);
    let [ca, certificate, key] = [&authority.pem, &ours.certificate_pem, &ours.key_pem]
        .map(|pem| File::new("mutual.pem", pem));
    for (protocols, version) in VERSIONS {
        let of_server = authority.issue(same);
        let upstream = Upstream::asking(Some(&authority), &of_server, protocols).await;
        let config = upstream.config(&format!(
            "ca = \"{}\", client_certificate = \"{}\", client_key = \"{}\"",
            ca.name(),
            certificate.name(),
            key.name()
        ));
        let server = serve(&config).await;
        assert_eq!(upstream.answers(&server).await, version);
    }
}

#[tokio::test]
async fn without_a_certificate_or_with_one_that_is_not_accepted_it_is_told_what_to_set() {
    let authority = Authority::new("company");
    let stranger = Authority::new("stranger").issue(same);
    let ca = File::new("company.crt", &authority.pem);
    let [certificate, key] =
        [&stranger.certificate_pem, &stranger.key_pem].map(|pem| File::new("stranger.pem", pem));
    for (protocols, _) in VERSIONS {
        let of_server = authority.issue(same);
        let upstream = Upstream::asking(Some(&authority), &of_server, protocols).await;
        let ca = format!("ca = \"{}\"", ca.name());
        let server = serve(&upstream.config(&ca)).await;
        let advice = "set upstream.tls.client_certificate and upstream.tls.client_key";
        refused(&server, "it requires a client certificate", advice).await;

        let config = upstream.config(&format!(
            "{ca}, client_certificate = \"{}\", client_key = \"{}\"",
            certificate.name(),
            key.name()
        ));
        let server = serve(&config).await;
        let advice = "check that the certificate in upstream.tls.client_certificate is valid";
        refused(&server, "it does not accept the client certificate", advice).await;
    }
}

#[tokio::test]
async fn a_server_name_takes_the_place_of_the_host() {
    let authority = Authority::new("company");
    let ca = File::new("company.crt", &authority.pem);
    let by_name = authority.issue(|params| {
        params.subject_alt_names = vec![SanType::DnsName(NAME.try_into().unwrap())];
    });
    for (protocols, version) in VERSIONS {
        let upstream = Upstream::start(&by_name, protocols).await;
        let ca = format!("ca = \"{}\"", ca.name());
        let server = serve(&upstream.config(&ca)).await;
        let advice = "or set upstream.tls.server_name to one";
        refused(&server, "its certificate is for another name", advice).await;

        let config = upstream.config(&format!("{ca}, server_name = \"{NAME}\""));
        assert_eq!(upstream.answers(&serve(&config).await).await, version);
    }
}

#[tokio::test]
async fn any_certificate_will_do_where_that_is_asked_for_and_the_log_warns_of_it() {
    let certificate = Authority::new("anybody").issue(|params| {
        params.subject_alt_names.clear();
        params.not_after = date_time_ymd(2001, 1, 1);
    });
    for (protocols, version) in VERSIONS {
        let upstream = Upstream::start(&certificate, protocols).await;
        let server = serve(&upstream.config("insecure = true")).await;
        assert_eq!(upstream.answers(&server).await, version);
        let log = server.process.stderr();
        let warned = log
            .lines
            .iter()
            .find(|line| line.contains("upstream.tls.insecure"));
        let warned = warned.unwrap_or_else(|| panic!("{}", log.text()));
        assert!(
            warned.contains("\"WARN\"") && warned.contains("is not verified"),
            "{warned}"
        );
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_certificate_is_told_in_words_and_with_what_to_do() {
    let authority = Authority::new("company");
    let ca = File::new("company.crt", &authority.pem);
    let ca = format!("ca = \"{}\"", ca.name());
    type Change = fn(&mut CertificateParams);
    let expired: Change = |params| params.not_after = date_time_ymd(2001, 1, 1);
    let future: Change = |params| params.not_before = date_time_ymd(4000, 1, 1);
    let of_authority: Change = |params| {
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    };
    for (change, tls, trouble, advice) in [
        (
            expired,
            &*ca,
            "its certificate has expired",
            "renew the certificate",
        ),
        (
            future,
            &ca,
            "its certificate is not valid yet",
            "check the clocks",
        ),
        (
            of_authority,
            &ca,
            "its certificate is that of an authority",
            "CA:FALSE",
        ),
        (
            same as Change,
            "insecure = false",
            "issued by an authority that is not trusted",
            "set upstream.tls.ca to a PEM file",
        ),
    ] {
        let certificate = authority.issue(change);
        for (protocols, _) in VERSIONS {
            let upstream = Upstream::start(&certificate, protocols).await;
            let config = upstream.config(tls);
            let roots = File::new("roots.crt", Authority::new("system").pem);
            let program = Program::configured(config.name()).env("SSL_CERT_FILE", roots.name());
            refused(&program.listen().await, trouble, advice).await;

            let mut probe = Program::new(["check", "--probe", "-c", config.name()])
                .env("SSL_CERT_FILE", roots.name())
                .start();
            assert_eq!(probe.exit().await.code(), Some(1));
            let told = probe.stderr().text();
            assert!(told.contains(trouble) && told.contains(advice), "{told}");
        }
    }
}

#[tokio::test]
async fn a_single_upstream_has_variables_for_it() {
    let authority = Authority::new("company");
    let ca = File::new("company.crt", &authority.pem);
    let upstream = Upstream::start(&authority.issue(same), &["http/1.1"]).await;
    let server = Program::serve(&upstream.url())
        .env("STREAMGAUGE_UPSTREAM_TLS_CA", ca.name())
        .listen()
        .await;
    upstream.answers(&server).await;
}

#[tokio::test]
async fn files_are_read_again_on_sighup_and_a_broken_one_changes_nothing() {
    let (before, after) = (Authority::new("before"), Authority::new("after"));
    let ca = File::new("renewed.crt", &before.pem);
    let upstream = Upstream::start(&after.issue(same), &["http/1.1"]).await;
    let server = serve(&upstream.config(&format!("ca = \"{}\"", ca.name()))).await;
    let answer = get(server.proxy, "/v1/models").await;
    assert_told(&answer, "that is not trusted", "set upstream.tls.ca");

    std::fs::write(ca.path(), &after.pem).unwrap();
    server.process.signal("HUP").await;
    let renewed = "the certificates of the upstream were read again; the rest of the configuration is read at start only";
    assert_eq!(server.process.message(renewed).await["upstream"], "a");
    upstream.answers(&server).await;

    std::fs::write(ca.path(), "no PEM").unwrap();
    server.process.signal("HUP").await;
    let broken = "the certificates of the upstream cannot be read again; those that were read before stay in use";
    let line = server.process.message(broken).await;
    let error = line["error"].as_str().unwrap();
    assert!(
        error.contains("upstream.tls.ca") && error.contains(ca.name()),
        "{error}"
    );
    upstream.answers(&server).await;
}

#[tokio::test]
async fn a_file_that_does_not_come_holds_up_neither_calls_nor_the_end() {
    let authority = Authority::new("slow");
    let ca = File::new("slow.crt", &authority.pem);
    let upstream = Upstream::start(&authority.issue(same), &["http/1.1"]).await;
    let mut server = serve(&upstream.config(&format!("ca = \"{}\"", ca.name()))).await;
    upstream.answers(&server).await;

    std::fs::remove_file(ca.path()).unwrap();
    let made = std::process::Command::new("mkfifo").arg(ca.path()).status();
    assert!(made.unwrap().success());
    server.process.signal("HUP").await;
    // It opens once somebody reads it; and nothing is ever written to it.
    let path = ca.path().to_owned();
    let opened = tokio::task::spawn_blocking(|| std::fs::File::options().write(true).open(path));
    let _silent = opened.await.unwrap().unwrap();
    upstream.answers(&server).await;
    server.process.signal("TERM").await;
    assert!(server.process.wait().await.success());
}
