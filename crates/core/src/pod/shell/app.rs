//! What a container runs, as far as signals have another meaning for it.

use k8s_openapi::api::core::v1::Container;

use super::effect::By;
use crate::pod::command::program;
use crate::pod::image;
use crate::pod::settings::JVM_OPTIONS;

/// The app of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct App {
    is_java: bool,
    is_haproxy: bool,
}

/// Words in the names of images that run a Java virtual machine.
const OF_JAVA: [&str; 27] = [
    "activemq",
    "camunda",
    "cassandra",
    "corretto",
    "elasticsearch",
    "flink",
    "hazelcast",
    "java",
    "jboss",
    "jdk",
    "jenkins",
    "jetty",
    "jre",
    "jvm",
    "kafka",
    "keycloak",
    "logstash",
    "neo4j",
    "openjdk",
    "opensearch",
    "solr",
    "spring",
    "temurin",
    "tomcat",
    "trino",
    "wildfly",
    "zookeeper",
];

impl App {
    pub(super) fn of(container: &Container) -> Self {
        let hook = container.lifecycle.as_ref().and_then(|lifecycle| lifecycle.pre_stop.as_ref());
        let hook = hook.and_then(|hook| hook.exec.as_ref()).and_then(|exec| exec.command.as_ref());
        let line = || container.command.iter().chain(&container.args).flatten();
        let image = container.image.as_deref().map(image::repository).unwrap_or_default();
        let has_word = |word: &str| image.split(['-', '_']).any(|part| part.trim_end_matches(char::is_numeric) == word);
        let has_variable = |name: &str| container.env.iter().flatten().any(|variable| variable.name == name);
        Self {
            is_java: OF_JAVA.into_iter().any(has_word)
                || JVM_OPTIONS.into_iter().any(has_variable)
                || line()
                    .chain(hook.into_iter().flatten())
                    .any(|word| word.replace("javascript", "").contains("java") || word.contains(".jar")),
            is_haproxy: has_word("haproxy") || line().any(|word| program(word) == "haproxy"),
        }
    }

    /// On SIGQUIT, a Java virtual machine prints its threads and continues. On SIGUSR1, `HAProxy` stops gracefully.
    pub(super) const fn stops_on(self, by: By) -> bool {
        match by {
            By::Quit => !self.is_java,
            By::Usr1 => self.is_haproxy,
            By::Command => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Container;
    use serde::Deserialize as _;
    use serde_json::json;

    use super::{App, By};

    #[test]
    fn java_continues_on_sigquit_and_haproxy_stops_on_sigusr1() {
        for (fields, quit, usr1) in [
            (json!({"image": "nginx:1.27"}), true, false),
            (json!({"image": "eclipse-temurin:21-jre"}), false, false),
            (json!({"image": "gcr.io/distroless/java21-debian12"}), false, false),
            (json!({"image": "javascript-app:1"}), true, false),
            (json!({"image": "web:1", "args": ["/usr/share/javascript"]}), true, false),
            (json!({"image": "shop:1", "command": ["java", "-jar", "shop.jar"]}), false, false),
            (json!({"image": "shop:1", "args": ["/shop.jar"]}), false, false),
            (json!({"image": "shop:1", "env": [{"name": "JAVA_OPTS", "value": "-Xmx1g"}]}), false, false),
            (
                json!({"lifecycle": {"preStop": {"exec": {"command": ["sh", "-c", "kill -3 $(pidof java)"]}}}}),
                false,
                false,
            ),
            (json!({"image": "haproxytech/haproxy-alpine:3.0"}), true, true),
            (json!({"command": ["/usr/sbin/haproxy", "-f", "x"]}), true, true),
        ] {
            let mut container = json!({"name": "app"});
            container.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            let app = App::of(&Container::deserialize(&container).unwrap());
            assert_eq!((app.stops_on(By::Quit), app.stops_on(By::Usr1)), (quit, usr1), "{fields}");
            assert!(app.stops_on(By::Command));
        }
    }
}
