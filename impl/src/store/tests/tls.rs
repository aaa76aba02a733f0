//! The tunnel: a PostgreSQL behind TLS is reached with a certificate that the named authority vouches for, and not
//! otherwise.

use std::{path::Path, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, UnixStream},
};
use tokio_rustls::TlsAcceptor;

use crate::{
    config::DatabaseUrl,
    net,
    store::{ServerStore, StoreError},
};

/// What answers a client in front of the PostgreSQL of the tests.
enum Gate {
    /// TLS with a certificate for this host.
    Tls(&'static str),
    /// No TLS.
    Unwilling,
}

/// Opens a gate to a socket; returns its port. The authority that vouches for it is written to `authority`.
async fn open(gate: Gate, socket: String, authority: &Path) -> u16 {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    std::fs::write(authority, issuer.pem()).unwrap();
    let acceptor = match gate {
        Gate::Unwilling => None,
        Gate::Tls(host) => {
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new(vec![host.to_owned()]).unwrap();
            let chain = vec![params.signed_by(&key, &issuer).unwrap().der().clone()];
            let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
            let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
            let config = ServerConfig::builder_with_provider(provider);
            let config = config.with_protocol_versions(&[&rustls::version::TLS13]).unwrap();
            let config = config.with_no_client_auth().with_single_cert(chain, key).unwrap();
            Some(TlsAcceptor::from(Arc::new(config)))
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            let (acceptor, socket) = (acceptor.clone(), socket.clone());
            tokio::spawn(async move {
                let mut request = [0; 8];
                client.read_exact(&mut request).await.unwrap();
                assert_eq!(request, [0, 0, 0, 8, 4, 210, 22, 47]);
                let Some(acceptor) = acceptor else { return client.write_all(b"N").await.unwrap() };
                client.write_all(b"S").await.unwrap();
                let Ok(mut client) = acceptor.accept(client).await else { return };
                let mut database = UnixStream::connect(&socket).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut client, &mut database).await;
            });
        }
    });
    port
}

#[tokio::test]
async fn a_database_behind_tls_is_reached_if_somebody_vouches_for_it() {
    let Some(postgres) = antiphon_test_postgres::shared() else {
        let missing = antiphon_test_postgres::missing().unwrap();
        return antiphon_test_postgres::tell_not_run("the tunnel", &missing);
    };
    let folder = tempfile::tempdir().unwrap();
    let (authority, other) = (folder.path().join("authority.pem"), folder.path().join("other.pem"));
    let socket = format!("{}/.s.PGSQL.5432", postgres.folder().display());
    let direct = postgres.database();
    let database = direct.rsplit('/').next().unwrap();
    let name = "a.example".parse().unwrap();
    let cases: [(Gate, &Path, Option<&str>); 4] = [
        (Gate::Tls("localhost"), &authority, None),
        (Gate::Tls("elsewhere.example"), &authority, Some("not valid for name")),
        (Gate::Tls("localhost"), &other, Some("BadSignature")),
        (Gate::Unwilling, &authority, Some("does not speak TLS")),
    ];
    // An authority that vouches for nobody here.
    open(Gate::Unwilling, socket.clone(), &other).await;
    for (gate, trusted, refused) in cases {
        let port = open(gate, socket.clone(), &authority).await;
        let url =
            format!("postgres://antiphon@localhost:{port}/{database}?sslrootcert={}", trusted.display());
        let opened = ServerStore::open(&DatabaseUrl::try_from(url).unwrap(), &name).await;
        match (opened, refused) {
            (Ok(store), None) => {
                store.check().await.unwrap();
                store.close().await;
            }
            (Err(error @ StoreError::Open { .. }), Some(why)) => {
                let told = net::chain(&error).to_string();
                assert!(told.contains(why), "{told}");
            }
            (opened, refused) => panic!("{:?} instead of {refused:?}", opened.map(|_| ())),
        }
    }
}
