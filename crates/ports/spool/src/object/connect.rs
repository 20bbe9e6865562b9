//! From a URL to a store that can be talked to.

use super::store::BucketStore;
use crate::error::SpoolError;
use crate::open::Lookup;
use crate::url::SpoolUrl;
use object_store::{BackoffConfig, ClientConfigKey, RetryConfig};
use std::sync::Arc;
use std::time::Duration;

/// How often a request is repeated that was throttled, got no answer or met an error of the server.
///
/// A few seconds in all: what lasts longer is the caller's to repeat, who knows of leases.
const RETRIES_MAX: usize = 4;
const RETRY_FOR: Duration = Duration::from_secs(60);
/// How long a connection may take, how long an answer may, and how long all of a body.
const TIMEOUTS: [(ClientConfigKey, &str); 3] = [
    (ClientConfigKey::ConnectTimeout, "5 seconds"),
    (ClientConfigKey::ReadTimeout, "60 seconds"),
    (ClientConfigKey::Timeout, "1 hour"),
];

fn retries() -> RetryConfig {
    let backoff = BackoffConfig {
        init_backoff: Duration::from_millis(200),
        max_backoff: Duration::from_secs(5),
        ..BackoffConfig::default()
    };
    RetryConfig { backoff, max_retries: RETRIES_MAX, retry_timeout: RETRY_FOR }
}

/// A client of the store at the URL. Nothing is asked of the store yet.
pub(crate) fn connect(url: &SpoolUrl, secret: &Lookup<'_>) -> Result<Arc<dyn BucketStore>, SpoolError> {
    // Where something else was installed before, that serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match url.scheme.as_str() {
        #[cfg(feature = "s3")]
        "s3" => s3(url, secret),
        #[cfg(feature = "gs")]
        "gs" => gs(url),
        #[cfg(feature = "az")]
        "az" => az(url),
        other => Err(url.refused(format!("this program was built without the store `{other}`"))),
    }
}

#[cfg(feature = "s3")]
fn s3(url: &SpoolUrl, secret: &Lookup<'_>) -> Result<Arc<dyn BucketStore>, SpoolError> {
    use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey as Key};

    url.allow(&["region", "endpoint", "allow_http", "access_key_id", "secret_access_key", "token"])?;
    let mut store = AmazonS3Builder::from_env().with_retry(retries()).with_bucket_name(url.bucket()?.0);
    for (key, value) in TIMEOUTS {
        store = store.with_config(Key::Client(key), value);
    }
    if let Some(region) = url.option("region") {
        store = store.with_region(region);
    }
    let allow_http = url.flag("allow_http")?;
    if let Some(endpoint) = url.option("endpoint") {
        check_endpoint(url, endpoint, allow_http)?;
        store = store.with_endpoint(endpoint);
    }
    if allow_http {
        store = store.with_allow_http(true);
    }
    let named = |name: &str| url.secret(name)?.map(|name| look_up(url, name, secret)).transpose();
    match (named("access_key_id")?, named("secret_access_key")?) {
        (Some(id), Some(key)) => store = store.with_access_key_id(id).with_secret_access_key(key),
        (None, None) => {}
        _ => return Err(url.refused("options `access_key_id` and `secret_access_key` are given both or not at all")),
    }
    if let Some(token) = named("token")? {
        store = store.with_token(token);
    }
    built(url, store.build())
}

#[cfg(feature = "s3")]
fn check_endpoint(url: &SpoolUrl, endpoint: &str, allow_http: bool) -> Result<(), SpoolError> {
    // What stands before an @ may be a password, so the endpoint is not repeated.
    let host = endpoint.strip_prefix("https://").or(endpoint.strip_prefix("http://")).unwrap_or_default();
    if host.is_empty() || host.contains(['@', '?', '#']) {
        return Err(url.refused("option `endpoint` must be https://HOST or https://HOST:PORT"));
    }
    if endpoint.starts_with("http://") && !allow_http {
        return Err(url.refused("option `endpoint` is not encrypted; where that is meant, add allow_http=true"));
    }
    Ok(())
}

#[cfg(feature = "s3")]
fn look_up(url: &SpoolUrl, name: &str, secret: &Lookup<'_>) -> Result<String, SpoolError> {
    secret(name).map_err(|source| SpoolError::Secret { place: url.shown(), name: name.into(), source })
}

#[cfg(feature = "gs")]
fn gs(url: &SpoolUrl) -> Result<Arc<dyn BucketStore>, SpoolError> {
    use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey as Key};

    url.allow(&[])?;
    let mut store = GoogleCloudStorageBuilder::from_env().with_retry(retries()).with_bucket_name(url.bucket()?.0);
    for (key, value) in TIMEOUTS {
        store = store.with_config(Key::Client(key), value);
    }
    built(url, store.build())
}

#[cfg(feature = "az")]
fn az(url: &SpoolUrl) -> Result<Arc<dyn BucketStore>, SpoolError> {
    use object_store::azure::{AzureConfigKey as Key, MicrosoftAzureBuilder};

    url.allow(&["account"])?;
    let mut store = MicrosoftAzureBuilder::from_env().with_retry(retries()).with_container_name(url.bucket()?.0);
    for (key, value) in TIMEOUTS {
        store = store.with_config(Key::Client(key), value);
    }
    if let Some(account) = url.option("account") {
        store = store.with_account(account);
    }
    built(url, store.build())
}

#[cfg(any(feature = "s3", feature = "gs", feature = "az"))]
fn built<S: BucketStore>(
    url: &SpoolUrl,
    store: Result<S, object_store::Error>,
) -> Result<Arc<dyn BucketStore>, SpoolError> {
    match store {
        Ok(store) => Ok(Arc::new(store)),
        Err(error) => Err(url.refused(super::fault::said(&error))),
    }
}
