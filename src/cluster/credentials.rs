//! The credentials of a user, where kube reads them in another way than client-go.

use http::HeaderValue;
use kube::config::AuthInfo;
use secrecy::{ExposeSecret, SecretString};

use super::Error;

/// Only the impersonation. Credentials are not sent without TLS.
pub(super) fn impersonation_of(user: AuthInfo) -> AuthInfo {
    AuthInfo {
        impersonate: user.impersonate,
        impersonate_uid: user.impersonate_uid,
        impersonate_groups: user.impersonate_groups,
        impersonate_user_extra: user.impersonate_user_extra,
        ..AuthInfo::default()
    }
}

/// Without empty values, which are none. kube panics where a token is not a part of a header.
pub(super) fn usable(user: AuthInfo) -> Result<AuthInfo, Error> {
    let text = |text: Option<String>| text.filter(|text| !text.is_empty());
    let secret = |secret: Option<SecretString>| secret.filter(|secret| !secret.expose_secret().is_empty());
    let user = AuthInfo {
        username: text(user.username),
        token: secret(user.token),
        token_file: text(user.token_file),
        client_certificate: text(user.client_certificate),
        client_certificate_data: text(user.client_certificate_data),
        client_key: text(user.client_key),
        client_key_data: secret(user.client_key_data),
        ..user
    };
    let of_provider = user.auth_provider.iter().flat_map(|provider| provider.config.values()).map(String::as_str);
    let mut tokens = of_provider.chain(user.token.iter().map(ExposeSecret::expose_secret));
    if tokens.all(|token| HeaderValue::try_from(token).is_ok()) { Ok(user) } else { Err(Error::Token) }
}

/// With the token of its file, which takes precedence over the other one in client-go, and not in kube. White space around it
/// is removed: kube refuses it. Such a token is not read again.
pub(super) fn with_token_of_file(user: AuthInfo) -> Result<AuthInfo, Error> {
    // kube reports a file that cannot be read, unless there is another token.
    let content = user.token_file.as_ref().and_then(|file| std::fs::read_to_string(file).ok()).map(SecretString::from);
    match content.as_ref().map(|content| (content.expose_secret(), content.expose_secret().trim())) {
        None | Some((_, "")) => Ok(user),
        Some((content, token)) if content == token => Ok(AuthInfo { token: None, ..user }),
        Some((_, token)) => usable(AuthInfo { token: Some(SecretString::from(token)), ..user }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn user(user: Value) -> AuthInfo {
        serde_json::from_value(user).unwrap()
    }

    fn token(user: &AuthInfo) -> Option<&str> {
        user.token.as_ref().map(ExposeSecret::expose_secret)
    }

    #[test]
    fn a_token_that_is_not_a_part_of_a_header_is_refused_without_its_text() {
        for (given, is_usable) in [
            (json!({"token": "abc.def-1"}), true),
            (json!({}), true),
            (json!({"token": "secret\n"}), false),
            (json!({"token": "sec\u{1b}ret"}), false),
            (json!({"auth-provider": {"name": "oidc", "config": {"id-token": "secret\n"}}}), false),
            (json!({"auth-provider": {"name": "oidc", "config": {"id-token": "abc"}}}), true),
        ] {
            let usable = usable(user(given.clone()));
            assert_eq!(usable.is_ok(), is_usable, "{given}");
            assert!(!usable.is_err_and(|error| error.to_string().contains("ret")));
        }
    }

    #[test]
    fn empty_values_are_none() {
        let empty = json!({
            "username": "", "token": "", "tokenFile": "", "client-certificate": "", "client-certificate-data": "",
            "client-key": "", "client-key-data": "",
        });
        let usable = usable(user(empty)).unwrap();
        assert_eq!(serde_json::to_value(usable).unwrap(), json!({}));
    }

    #[test]
    fn white_space_around_the_token_of_a_file_does_not_count() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        // `None`: kube reads the file.
        for (content, expected) in [("abc\n", Some("abc")), ("abc", None)] {
            std::fs::write(&file, content).unwrap();
            for user in [user(json!({"tokenFile": file})), user(json!({"tokenFile": file, "token": "other"}))] {
                assert_eq!(token(&with_token_of_file(user).unwrap()), expected, "{content}");
            }
        }
        std::fs::write(&file, "secret\nb\n").unwrap();
        assert!(with_token_of_file(user(json!({"tokenFile": file}))).is_err());
        let none = folder.path().join("none");
        assert_eq!(token(&with_token_of_file(user(json!({"tokenFile": none}))).unwrap()), None);
        let other = user(json!({"tokenFile": none, "token": "other"}));
        assert_eq!(token(&with_token_of_file(other).unwrap()), Some("other"));
    }

    #[test]
    fn only_the_impersonation_is_sent_without_tls() {
        let limited = json!({"as": "a", "as-uid": "1", "as-groups": ["b"], "as-user-extra": {"c": ["d"]}});
        let mut all = limited.clone();
        all["token"] = json!("abc");
        all["exec"] = json!({"command": "login"});
        assert_eq!(serde_json::to_value(impersonation_of(user(all))).unwrap(), limited);
    }
}
