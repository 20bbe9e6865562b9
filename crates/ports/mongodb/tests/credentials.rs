//! Names and passwords as they arrive at a server: SCRAM-SHA-256 (RFC 5802, RFC 7677) from its other side.
//!
//! The servers that tests can have authenticate nobody, so this one is of our own: it knows the password and proves each
//! message of the exchange.

#![allow(clippy::unwrap_used, reason = "a failing test panics")]

mod keeper;
mod wire;

use std::sync::{Arc, Mutex};

use bson::spec::BinarySubtype;
use bson::{Binary, Document, doc};
use capstan_endpoint::{Adapter, EndpointError, ErrorClass};
use capstan_mongodb::MongoAdapter;
use sha2::{Digest, Sha256};

use keeper::{Instead, Keeper};

const SALT: &[u8] = b"sixteen bytes of";
/// The fewest that drivers accept.
const ROUNDS: usize = 4_096;

/// A server's side of conversations with one user at a time.
struct Gate {
    user: String,
    password: String,
    /// The client's first message without its header, and our answer to it.
    begun: Mutex<Option<(String, String)>>,
    let_in: Mutex<usize>,
}

impl Gate {
    fn answer(&self, command: &Document) -> Option<Document> {
        let said = || String::from_utf8(command.get_binary_generic("payload").unwrap().clone()).unwrap();
        match command.keys().next().unwrap().as_str() {
            "saslStart" => Some(self.first(&said())),
            "saslContinue" => Some(self.last(&said())),
            _ => None,
        }
    }

    fn first(&self, said: &str) -> Document {
        let bare = said.strip_prefix("n,,").unwrap();
        let (user, nonce) = bare.strip_prefix("n=").unwrap().split_once(",r=").unwrap();
        if user.replace("=2C", ",").replace("=3D", "=") != self.user {
            return denied();
        }
        let answer = format!("r={nonce}ours,s={},i={ROUNDS}", base64(SALT));
        *self.begun.lock().unwrap() = Some((bare.to_owned(), answer.clone()));
        step(&answer, false)
    }

    fn last(&self, said: &str) -> Document {
        // An empty message asks for the end of an exchange that has come to one.
        let Some((bare, ours)) = self.begun.lock().unwrap().take().filter(|_| !said.is_empty()) else {
            return step("", true);
        };
        let (unproven, proof) = said.split_once(",p=").unwrap();
        let talk = format!("{bare},{ours},{unproven}");
        let salted = stretched(self.password.as_bytes());
        let stored = Sha256::digest(hmac(&salted, b"Client Key"));
        let signature = hmac(&stored, talk.as_bytes());
        let key: Vec<u8> = unbase64(proof).iter().zip(signature).map(|(one, other)| one ^ other).collect();
        if Sha256::digest(&key) != stored {
            return denied();
        }
        *self.let_in.lock().unwrap() += 1;
        let ours = hmac(&hmac(&salted, b"Server Key"), talk.as_bytes());
        step(&format!("v={}", base64(&ours)), true)
    }
}

fn step(payload: &str, done: bool) -> Document {
    let payload = Binary { subtype: BinarySubtype::Generic, bytes: payload.as_bytes().to_vec() };
    doc! { "ok": 1, "conversationId": 1, "done": done, "payload": payload }
}

fn denied() -> Document {
    doc! { "ok": 0, "code": 18, "codeName": "AuthenticationFailed", "errmsg": "Authentication failed." }
}

fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut block = [0; 64];
    match key.len() {
        0..=64 => block[..key.len()].copy_from_slice(key),
        _ => block[..32].copy_from_slice(&Sha256::digest(key)),
    }
    let pad = |with: u8| block.map(|byte| byte ^ with);
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize().into()
}

/// PBKDF2 of one block.
fn stretched(password: &[u8]) -> [u8; 32] {
    let mut turn = hmac(password, &[SALT, &[0, 0, 0, 1]].concat());
    let mut sum = turn;
    for _ in 1..ROUNDS {
        turn = hmac(password, &turn);
        sum.iter_mut().zip(turn).for_each(|(sum, turn)| *sum ^= turn);
    }
    sum
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn base64(bytes: &[u8]) -> String {
    let four = |three: &[u8]| {
        let number = three.iter().chain(&[0; 3]).take(3).fold(0_u32, |all, byte| all << 8 | u32::from(*byte));
        let letter = |at: usize| char::from(ALPHABET[(number >> (18 - 6 * at) & 63) as usize]);
        (0..4).map(|at| if at <= three.len() { letter(at) } else { '=' }).collect::<String>()
    };
    bytes.chunks(3).map(four).collect()
}

fn unbase64(text: &str) -> Vec<u8> {
    let text = text.trim_end_matches('=').as_bytes();
    let three = |four: &[u8]| {
        let place = |letter: &u8| ALPHABET.iter().position(|known| known == letter).unwrap() as u32;
        let number = four.iter().map(place).chain([0; 4]).take(4).fold(0_u32, |all, part| all << 6 | part);
        number.to_be_bytes()[1..four.len()].to_vec()
    };
    text.chunks(4).flat_map(three).collect()
}

fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// Opens a source as this user, at a server that knows that password. With it, how often the server let somebody in.
async fn opened(user: &str, password: &str, known: &str) -> (Result<(), EndpointError>, usize) {
    let (user_known, password_known) = (user.to_owned(), known.to_owned());
    let gate = Arc::new(Gate {
        user: user_known,
        password: password_known,
        begun: Mutex::default(),
        let_in: Mutex::default(),
    });
    let asked = Arc::clone(&gate);
    let serving = Keeper::default().serve_but(move |command| asked.answer(command).map(Instead::Answer)).await;
    let host = serving.url.strip_prefix("mongodb://").unwrap();
    let url =
        format!("mongodb://{}:{}@{host}&authMechanism=SCRAM-SHA-256&maxPoolSize=1", encoded(user), encoded(password));
    let opened = MongoAdapter.source(&url.parse().unwrap()).await.map(drop);
    let let_in = *gate.let_in.lock().unwrap();
    (opened, let_in)
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_passwords_of_any_characters_are_proven_to_the_server_as_they_are_meant() {
    for (user, password) in
        [("ann", "plain"), ("ann@x", "p@s:s/%?#[]&="), ("o=b,c", " a,b=c% "), ("zoë", "grüße 漢字 \"'\\")]
    {
        let (opened, let_in) = opened(user, password, password).await;

        opened.unwrap_or_else(|error| panic!("{user}: {error}"));
        assert!(let_in > 0, "{user} was asked for a proof");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_denied_for_good_and_shown_nowhere() {
    let (opened, let_in) = opened("ann", "hu/nter@2", "another").await;

    let error = opened.unwrap_err();
    assert_eq!((error.class(), let_in), (ErrorClass::Permanent, 0), "{error}");
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("nter"), "{shown}");
}

#[test]
fn the_sums_of_this_server_are_those_of_the_standards() {
    // RFC 4231, case 2; RFC 4648, section 10; Python's hashlib.pbkdf2_hmac for the salt and rounds above.
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(
        hex(&hmac(b"Jefe", b"what do ya want for nothing?")),
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    );
    for (text, coded) in
        [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE=")]
    {
        assert_eq!((base64(text.as_bytes()), unbase64(coded)), (coded.to_owned(), text.as_bytes().to_vec()));
    }
    assert_eq!(hex(&stretched(b"pencil")), "9914459588081ca5ccc1dad013983d7206f3696e066a11c86a0de49c0ae4df0f");
}
