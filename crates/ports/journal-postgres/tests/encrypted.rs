//! Encrypted connections, over a way that speaks TLS in front of the real server.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod live;

use capstan_journal::JournalError;
use capstan_journal_postgres::{OpenError, PostgresJournal, PostgresOptions};
use live::{Database, commit, committed, everything};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_postgres::Config;
use tokio_postgres::config::Host;
use tokio_rustls::TlsAcceptor;

const CERTIFICATES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/certificates");

/// A port that encrypts, if asked for it, and leads to the server's.
struct EncryptedWay {
    port: u16,
    _runtime: Runtime,
}

impl EncryptedWay {
    fn to(url: &str) -> Self {
        let config: Config = url.parse().unwrap();
        let Host::Tcp(host) = config.get_hosts()[0].clone() else { panic!("expected the server's address to be TCP") };
        let server = (host, config.get_ports()[0]);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let port = listener.local_addr().unwrap().port();
        let acceptor = acceptor();
        runtime.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, server.clone(), acceptor.clone()));
            }
        });
        Self { port, _runtime: runtime }
    }
}

fn acceptor() -> TlsAcceptor {
    let certificates = CertificateDer::pem_file_iter(format!("{CERTIFICATES}/server.pem")).unwrap();
    let certificates = certificates.map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(format!("{CERTIFICATES}/server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    TlsAcceptor::from(Arc::new(config.with_no_client_auth().with_single_cert(certificates, key).unwrap()))
}

async fn carry(mut client: TcpStream, server: (String, u16), acceptor: TlsAcceptor) -> std::io::Result<()> {
    // The protocol's request for encryption: its length and its number. Nothing else is let through.
    let mut request = [0; 8];
    client.read_exact(&mut request).await?;
    if request != [0, 0, 0, 8, 4, 210, 22, 47] {
        return Ok(());
    }
    client.write_all(b"S").await?;
    let mut client = acceptor.accept(client).await?;
    let mut server = TcpStream::connect(server).await?;
    copy_bidirectional(&mut client, &mut server).await.map(drop)
}

fn connect(database: &Database, host: &str, way: &EncryptedWay, query: &str) -> Result<PostgresJournal, OpenError> {
    let config: Config = database.url.parse().unwrap();
    let (user, name) = (config.get_user().unwrap(), config.get_dbname().unwrap());
    let url = format!(
        "postgres://{user}@{host}:{}/{name}?schema={1}&application_name={1}&{query}",
        way.port, database.schema
    );
    PostgresJournal::connect(&url, PostgresOptions::default())
}

on_a_database! {
    fn a_server_that_proves_its_name_is_believed(database) {
        let way = EncryptedWay::to(&database.url);
        let query = format!("sslmode=verify-full&sslrootcert={CERTIFICATES}/authority.pem");

        let mut journal = connect(&database, "localhost", &way, &query).unwrap();

        committed(&mut journal, 1, 1, &commit(&["a"]));
        assert_eq!(everything(&journal, 1).len(), 1);
    }

    fn a_server_that_does_not_prove_its_name_is_not_believed(database) {
        let way = EncryptedWay::to(&database.url);
        for (host, query, why) in [
            ("127.0.0.1", format!("sslmode=verify-full&sslrootcert={CERTIFICATES}/authority.pem"), "not valid for name"),
            ("localhost", format!("sslmode=verify-full&sslrootcert={CERTIFICATES}/stranger.pem"), "UnknownIssuer"),
            ("localhost", "sslmode=verify-full".to_owned(), "UnknownIssuer"),
        ] {
            match connect(&database, host, &way, &query) {
                Err(OpenError::Journal(JournalError::Unfit { what, .. })) => {
                    assert!(what.contains(why), "{host} {query}: {what}");
                }
                other => panic!("{host} {query}: expected it not to be believed, found {other:?}"),
            }
        }
    }

    fn encryption_without_proof_is_what_require_means(database) {
        let way = EncryptedWay::to(&database.url);
        for query in ["sslmode=require", "sslmode=prefer"] {
            connect(&database, "127.0.0.1", &way, query).unwrap();
        }
        let refused = connect(&database, "127.0.0.1", &way, "sslmode=disable").map(drop);
        assert!(matches!(refused, Err(OpenError::Journal(JournalError::Away { .. }))), "{refused:?}");
    }

    fn a_server_that_does_not_encrypt_is_refused_where_encryption_is_required(database) {
        let encrypts: String = database.ask("SHOW ssl", &[]);
        let url = format!("{}&sslmode=require", database.address());
        let connected = PostgresJournal::connect(&url, PostgresOptions::default());
        match connected {
            Ok(_) => assert_eq!(encrypts, "on"),
            Err(OpenError::Journal(JournalError::Unfit { what, .. })) => {
                assert!(encrypts == "off" && what.contains("TLS"), "ssl is {encrypts}: {what}");
            }
            Err(other) => panic!("expected it to connect or to be refused, found {other:?}"),
        }
    }
}

#[test]
fn a_file_of_authorities_that_is_not_there_is_said_so() {
    let url = "postgres://capstan@db.example/x?sslmode=verify-full&sslrootcert=/no/such/file.pem";
    let error = PostgresJournal::connect(url, PostgresOptions::default()).unwrap_err();
    assert!(matches!(&error, OpenError::Address { what } if what.contains("/no/such/file.pem")), "{error:?}");
}
