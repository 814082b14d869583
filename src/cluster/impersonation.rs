//! The flags that act as another user.

use clap::Args;
use kube::config::AuthInfo;

use super::Error;

/// What is given on the command line. Each takes precedence over its counterpart in the kubeconfig, as in client-go.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct Impersonation {
    /// User to impersonate
    #[arg(long = "as", value_name = "USER")]
    impersonate: Option<String>,
    /// Group to impersonate; can be repeated
    #[arg(long = "as-group", value_name = "GROUP")]
    impersonate_groups: Vec<String>,
    /// UID of the user to impersonate
    #[arg(long = "as-uid", value_name = "UID")]
    impersonate_uid: Option<String>,
}

impl Impersonation {
    /// The credentials, with what is given. Empty values are none. What the kubeconfig has stays: without it, an
    /// administrator whose context is limited would act with all rights.
    pub(super) fn apply(&self, user: AuthInfo) -> Result<AuthInfo, Error> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let groups: Vec<_> = self.impersonate_groups.iter().filter(|group| !group.is_empty()).cloned().collect();
        let groups = Some(groups).filter(|groups| !groups.is_empty());
        let user = AuthInfo {
            impersonate: given(&self.impersonate).or(given(&user.impersonate)),
            impersonate_uid: given(&self.impersonate_uid).or(given(&user.impersonate_uid)),
            impersonate_groups: groups.or(user.impersonate_groups).filter(|groups| !groups.is_empty()),
            impersonate_user_extra: user.impersonate_user_extra.filter(|extra| !extra.is_empty()),
            ..user
        };
        let has_more = user.impersonate_uid.is_some()
            || user.impersonate_groups.is_some()
            || user.impersonate_user_extra.is_some();
        if user.impersonate.is_none() && has_more { Err(Error::NoUserToImpersonate) } else { Ok(user) }
    }
}

impl Impersonation {
    /// The flags, with their values.
    pub(super) fn typed(&self) -> impl Iterator<Item = (&'static str, String)> {
        let Self { impersonate, impersonate_groups, impersonate_uid } = self;
        let user = impersonate.iter().map(|user| ("--as", user));
        let groups = impersonate_groups.iter().map(|group| ("--as-group", group));
        let uid = impersonate_uid.iter().map(|uid| ("--as-uid", uid));
        let flags = user.chain(groups).chain(uid).filter(|(_, value)| !value.is_empty());
        flags.map(|(flag, value)| (flag, value.clone()))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::{Value, json};

    use super::*;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        impersonation: Impersonation,
    }

    /// What is left of a user of a kubeconfig.
    fn applied(flags: &str, user: Value) -> Result<Value, String> {
        let flags = Flags::try_parse_from(["kubectl"].into_iter().chain(flags.split_whitespace())).unwrap();
        let user = flags.impersonation.apply(serde_json::from_value(user).unwrap());
        user.map(|user| serde_json::to_value(user).unwrap()).map_err(|error| error.to_string())
    }

    fn limited() -> Value {
        json!({"as": "view", "as-uid": "1", "as-groups": ["readers"], "as-user-extra": {"reason": ["safety"]}})
    }

    #[test]
    fn the_kubeconfig_counts_without_flags_and_each_flag_more_than_it() {
        for (flags, expected) in [
            ("", limited()),
            ("--as= --as-group= --as-uid=", limited()),
            (
                "--as eve",
                json!({"as": "eve", "as-uid": "1", "as-groups": ["readers"], "as-user-extra": {"reason": ["safety"]}}),
            ),
            (
                "--as-group a --as-group b --as-uid 2",
                json!({"as": "view", "as-uid": "2", "as-groups": ["a", "b"], "as-user-extra": {"reason": ["safety"]}}),
            ),
        ] {
            assert_eq!(applied(flags, limited()), Ok(expected), "{flags}");
        }
        assert_eq!(applied("--as eve --as-uid 2", json!({})), Ok(json!({"as": "eve", "as-uid": "2"})));
        let empty = json!({"as": "", "as-uid": "", "as-groups": [], "as-user-extra": {}});
        assert_eq!(applied("", empty), Ok(json!({})));
    }

    #[test]
    fn without_a_user_nothing_can_be_impersonated() {
        for (flags, user) in [
            ("--as-group a", json!({})),
            ("--as= --as-uid 1", json!({})),
            ("", json!({"as-groups": ["a"]})),
            ("", json!({"as-user-extra": {"reason": ["safety"]}})),
        ] {
            assert!(applied(flags, user).unwrap_err().contains("--as"), "{flags}");
        }
    }
}
