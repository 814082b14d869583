//! The tables of the settings that are read.

use k8s_openapi::api::core::v1::Container;
use serde_json::{Value, json};

use super::Setting;
use crate::catalog::runtimes::Runtime;
use crate::catalog::settings::Settings;
use crate::duration::Seconds;

/// `runtime label time`, with `?` for an unknown time.
fn read(container: &Value, declared: Option<&str>) -> Option<String> {
    let mut container = container.clone();
    container["name"] = json!("app");
    let container: Container = serde_json::from_value(container).unwrap();
    let declared = declared.map(|name| name.parse::<&Runtime>().unwrap());
    let Setting { runtime, label, time, .. } = Setting::of(&container, declared)?;
    Some(format!("{runtime} {label} {}", time.map_or("?".to_owned(), |time: Seconds| time.to_string())))
}

/// Rows of a command and what is read, without a declared runtime.
fn commands(rows: &[(&[&str], Option<&str>)]) {
    for (command, expected) in rows {
        for container in [json!({"command": command}), json!({"args": command})] {
            assert_eq!(read(&container, None).as_deref(), *expected, "{container}");
        }
    }
}

/// Rows of a variable, its value, and what is read.
fn variables(rows: &[(&str, &str, Option<&str>)]) {
    for (name, value, expected) in rows {
        let container = json!({"env": [{"name": name, "value": value}]});
        assert_eq!(read(&container, None).as_deref(), *expected, "{container}");
    }
}

#[test]
fn flags_of_servers() {
    commands(&[
        (&["gunicorn", "--graceful-timeout=120", "app:app"], Some("gunicorn --graceful-timeout 120s")),
        (&["gunicorn", "--graceful-timeout", "120", "app:app"], Some("gunicorn --graceful-timeout 120s")),
        (&["/venv/bin/gunicorn", "--graceful-timeout", "0"], Some("gunicorn --graceful-timeout 0s")),
        (&["python", "-m", "gunicorn", "--graceful-timeout=60"], Some("gunicorn --graceful-timeout 60s")),
        (&["poetry", "run", "gunicorn", "--graceful-timeout=60"], Some("gunicorn --graceful-timeout 60s")),
        (&["tini", "--", "gunicorn", "--graceful-timeout=60"], Some("gunicorn --graceful-timeout 60s")),
        (&["uvicorn", "app:api", "--timeout-graceful-shutdown=25"], Some("uvicorn --timeout-graceful-shutdown 25s")),
        (&["uvicorn", "app:api", "--timeout-graceful-shutdown", "25"], Some("uvicorn --timeout-graceful-shutdown 25s")),
        (&["hypercorn", "app:api", "--graceful-timeout", "10"], Some("hypercorn --graceful-timeout 10s")),
        (&["granian", "app:api", "--workers-kill-timeout", "1m"], Some("granian --workers-kill-timeout 60s")),
        (&["uwsgi", "--worker-reload-mercy=90", "--die-on-term"], Some("uwsgi --worker-reload-mercy 90s")),
        (&["bundle", "exec", "sidekiq", "-t", "50"], Some("sidekiq -t 50s")),
        (&["sidekiq", "-t50", "-c", "5"], Some("sidekiq -t 50s")),
        (&["sidekiq", "--timeout", "50"], Some("sidekiq --timeout 50s")),
        (&["dotnet", "Shop.dll", "--shutdownTimeoutSeconds=45"], Some("dotnet --shutdownTimeoutSeconds 45s")),
        (&["kc.sh", "start", "--shutdown-timeout=45s"], Some("keycloak --shutdown-timeout 46s")),
        (
            &["java", "-jar", "app.jar", "-P:ktor.deployment.shutdownTimeout=12000"],
            Some("ktor -P:ktor.deployment.shutdownTimeout 12s"),
        ),
        (&["gunicorn", "app:app"], None),
        (&["gunicorn", "--timeout", "120"], None),
        (&["redis-server", "--shutdown-timeout", "60"], Some("redis --shutdown-timeout 60s")),
        (
            &["java", "-jar", "/jetty/start.jar", "jetty.server.stopTimeout=9000"],
            Some("jetty jetty.server.stopTimeout 9s"),
        ),
        (&["java", "-jar", "/jetty/start.jar", "jetty.server.stopTimeout", "9000"], None),
        (&["java", "-jar", "app.jar", "jetty.server.stopTimeout=9000"], None),
        (&["server", "shutdown-timeout=60"], None),
        (&["server", "--cache", "redis", "--shutdown-timeout", "60"], None),
    ]);
}

#[test]
fn flags_of_workers() {
    commands(&[
        (&["celery", "-A", "shop", "worker", "--time-limit=300"], Some("celery --time-limit 300s")),
        (&["celery", "-A", "shop", "worker", "--soft-time-limit=300"], None),
        (&["dramatiq", "shop", "--worker-shutdown-timeout", "45000"], Some("dramatiq --worker-shutdown-timeout 45s")),
        (&["bundle", "exec", "good_job", "start", "--shutdown-timeout=45"], Some("good_job --shutdown-timeout 45s")),
        (&["good_job", "start", "--shutdown-timeout", "-1"], None),
        (&["bundle", "exec", "shoryuken", "-t", "20", "-R"], Some("shoryuken -t 20s")),
        (&["php", "artisan", "queue:work", "--timeout=90"], Some("laravel-queue --timeout 90s")),
        (&["php", "artisan", "queue:work", "--timeout=0"], None),
        (&["php", "artisan", "serve", "--timeout=90"], None),
        (&["npx", "fastify", "start", "-g", "20000", "app.js"], Some("fastify-cli -g 20s")),
        (&["fastify", "start", "--close-grace-delay", "20000", "app.js"], Some("fastify-cli --close-grace-delay 20s")),
    ]);
}

#[test]
fn the_last_of_several_flags_counts() {
    commands(&[(
        &["gunicorn", "--graceful-timeout=1", "--graceful-timeout=2"],
        Some("gunicorn --graceful-timeout 2s"),
    )]);
}

#[test]
fn directives_of_nginx_and_httpd() {
    commands(&[
        (&["nginx", "-g", "daemon off; worker_shutdown_timeout 30s;"], Some("nginx worker_shutdown_timeout 30s")),
        (&["nginx", "-gworker_shutdown_timeout 1m;daemon off;"], Some("nginx worker_shutdown_timeout 60s")),
        (&["nginx", "-g", "daemon off; worker_shutdown_timeout 0;"], None),
        (&["nginx", "-g", "daemon off;"], None),
        (&["httpd-foreground", "-c", "GracefulShutDownTimeout 20"], Some("httpd GracefulShutdownTimeout 20s")),
        (&["apache2ctl", "-D", "FOREGROUND", "-C", "GracefulShutdownTimeout 0"], None),
        (
            &["sh", "-c", "exec nginx -g 'daemon off; worker_shutdown_timeout 45s;'"],
            Some("nginx worker_shutdown_timeout 45s"),
        ),
    ]);
}

#[test]
fn scripts() {
    let script = |script: &'static str| ["sh".to_owned(), "-c".to_owned(), script.to_owned()];
    for (text, expected) in [
        ("exec gunicorn --graceful-timeout 60 app:app", Some("gunicorn --graceful-timeout 60s")),
        ("cd /app && exec gunicorn \\\n  --graceful-timeout='60' app:app", Some("gunicorn --graceful-timeout 60s")),
        ("migrate; gunicorn --graceful-timeout $TIMEOUT app:app", Some("gunicorn --graceful-timeout 45s")),
        ("gunicorn --graceful-timeout=${TIMEOUT:-30} app:app", Some("gunicorn --graceful-timeout 45s")),
        ("gunicorn $OPTIONS app:app", Some("gunicorn --graceful-timeout 70s")),
        ("gunicorn --graceful-timeout=${OTHER:-30} app:app", Some("gunicorn --graceful-timeout ?")),
        ("gunicorn --graceful-timeout=$(nproc) app:app", Some("gunicorn --graceful-timeout ?")),
        ("echo gunicorn --graceful-timeout 60; exec server", None),
        ("# gunicorn --graceful-timeout 60\nexec server", None),
        ("exec server --graceful-timeout 60", None),
    ] {
        let env =
            json!([{"name": "TIMEOUT", "value": "45"}, {"name": "OPTIONS", "value": "--graceful-timeout 70 -w 4"}]);
        let container = json!({"command": script(text), "env": env});
        assert_eq!(read(&container, None).as_deref(), expected, "{text}");
    }
}

#[test]
fn references_of_kubernetes() {
    let env = json!([{"name": "A", "value": "6"}, {"name": "B", "value": "$(A)0"}, {"name": "C", "valueFrom": {}}]);
    for (argument, expected) in [("$(B)", "60s"), ("$(C)", "?"), ("$(D)", "?"), ("$$(A)", "?"), ("$A", "?")] {
        let container = json!({"args": ["gunicorn", "--graceful-timeout", argument], "env": env});
        assert_eq!(read(&container, None), Some(format!("gunicorn --graceful-timeout {expected}")), "{argument}");
    }
}

#[test]
fn variables_of_servers() {
    variables(&[
        ("GUNICORN_CMD_ARGS", "--bind=:80 --graceful-timeout=45", Some("gunicorn --graceful-timeout 45s")),
        ("GUNICORN_CMD_ARGS", "--bind=:80", None),
        ("UVICORN_TIMEOUT_GRACEFUL_SHUTDOWN", "25", Some("uvicorn UVICORN_TIMEOUT_GRACEFUL_SHUTDOWN 25s")),
        ("uvicorn_timeout_graceful_shutdown", "25", None),
        ("GRANIAN_WORKERS_KILL_TIMEOUT", "30s", Some("granian GRANIAN_WORKERS_KILL_TIMEOUT 30s")),
        ("UWSGI_WORKER_RELOAD_MERCY", "90", Some("uwsgi UWSGI_WORKER_RELOAD_MERCY 90s")),
        ("KC_SHUTDOWN_DELAY", "30s", Some("keycloak KC_SHUTDOWN_DELAY 40s")),
        ("DOTNET_SHUTDOWNTIMEOUTSECONDS", "45", Some("dotnet DOTNET_SHUTDOWNTIMEOUTSECONDS 45s")),
        ("ASPNETCORE_shutdownTimeoutSeconds", "45", Some("dotnet ASPNETCORE_SHUTDOWNTIMEOUTSECONDS 45s")),
        ("HostOptions__ShutdownTimeout", "00:00:45", Some("dotnet HostOptions__ShutdownTimeout 45s")),
        ("HOSTOPTIONS__SHUTDOWNTIMEOUT", "00:01:30", Some("dotnet HostOptions__ShutdownTimeout 90s")),
        ("UVICORN_TIMEOUT_GRACEFUL_SHUTDOWN", "soon", Some("uvicorn UVICORN_TIMEOUT_GRACEFUL_SHUTDOWN ?")),
        ("SANIC_GRACEFUL_SHUTDOWN_TIMEOUT", "40.0", Some("sanic SANIC_GRACEFUL_SHUTDOWN_TIMEOUT 40s")),
        ("GOOD_JOB_SHUTDOWN_TIMEOUT", "45", Some("good_job GOOD_JOB_SHUTDOWN_TIMEOUT 45s")),
        ("GOOD_JOB_SHUTDOWN_TIMEOUT", "-1", None),
        ("FASTIFY_CLOSE_GRACE_DELAY", "20000", Some("fastify-cli FASTIFY_CLOSE_GRACE_DELAY 20s")),
        ("KONG_NGINX_MAIN_WORKER_SHUTDOWN_TIMEOUT", "1m", Some("kong KONG_NGINX_MAIN_WORKER_SHUTDOWN_TIMEOUT 60s")),
        ("KONG_NGINX_MAIN_WORKER_SHUTDOWN_TIMEOUT", "0", None),
        ("GRACEFUL_TIMEOUT", "25", None),
    ]);
}

#[test]
fn variables_and_properties_of_java() {
    let spring = "SPRING_LIFECYCLE_TIMEOUT_PER_SHUTDOWN_PHASE";
    let by_variable = |time| Some(format!("spring-boot {spring} {time}"));
    for (value, time) in [("90s", "90s"), ("PT1M30S", "90s"), ("45000", "45s"), ("1m", "60s"), ("${X}", "?"), ("", "?")]
    {
        variables(&[(spring, value, by_variable(time).as_deref())]);
    }
    variables(&[("SPRING_LIFECYCLE_TIMEOUTPERSHUTDOWNPHASE", "90s", by_variable("90s").as_deref())]);
    let property = Some("spring-boot spring.lifecycle.timeout-per-shutdown-phase 45s");
    for options in ["JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "JAVA_OPTS", "_JAVA_OPTIONS"] {
        variables(&[(options, "-Xmx1g -Dspring.lifecycle.timeout-per-shutdown-phase=45s -Da=b", property)]);
    }
    variables(&[
        ("JAVA_TOOL_OPTIONS", "-Dspring.lifecycle.timeoutPerShutdownPhase='45s'", property),
        ("SPRING_APPLICATION_JSON", r#"{"spring.lifecycle.timeout-per-shutdown-phase": "45s"}"#, property),
        ("SPRING_APPLICATION_JSON", r#"{"spring": {"lifecycle": {"timeout-per-shutdown-phase": "45s"}}}"#, property),
        ("SPRING_APPLICATION_JSON", r#"{"spring": {"lifecycle.timeoutPerShutdownPhase": 45000}}"#, property),
        ("SPRING_APPLICATION_JSON", r#"{"spring": {"main": {}}}"#, None),
        ("SPRING_APPLICATION_JSON", "{", None),
        ("QUARKUS_SHUTDOWN_TIMEOUT", "45", Some("quarkus QUARKUS_SHUTDOWN_TIMEOUT 45s")),
        ("JAVA_OPTS_APPEND", "-Dquarkus.shutdown.timeout=1m", Some("quarkus quarkus.shutdown.timeout 60s")),
        (
            "MICRONAUT_LIFECYCLE_GRACEFUL_SHUTDOWN_GRACE_PERIOD",
            "45s",
            Some("micronaut MICRONAUT_LIFECYCLE_GRACEFUL_SHUTDOWN_GRACE_PERIOD 45s"),
        ),
    ]);
    variables(&[
        (
            "JAVA_OPTS",
            "-Xmx1g -Dorg.wildfly.sigterm.suspend.timeout=60",
            Some("wildfly org.wildfly.sigterm.suspend.timeout 60s"),
        ),
        ("JAVA_OPTS", "-Dorg.wildfly.sigterm.suspend.timeout=-1", None),
        ("JAVA_OPTIONS", "-Djetty.server.stopTimeout=30000", Some("jetty jetty.server.stopTimeout 30s")),
        ("JAVA_OPTS", "-Ddw.server.shutdownGracePeriod=60s", Some("dropwizard dw.server.shutdownGracePeriod 60s")),
        ("CAMEL_MAIN_SHUTDOWN_TIMEOUT", "60", Some("camel CAMEL_MAIN_SHUTDOWNTIMEOUT 60s")),
        (
            "SPRING_APPLICATION_JSON",
            r#"{"camel.main.shutdown-timeout": 60}"#,
            Some("camel camel.main.shutdownTimeout 60s"),
        ),
    ]);
    let flag = "--spring.lifecycle.timeout-per-shutdown-phase=45s";
    commands(&[
        (&["java", "-Dspring.lifecycle.timeout-per-shutdown-phase=45s", "-jar", "app.jar"], property),
        (&["java", "-jar", "app.jar", "-Dspring.lifecycle.timeout-per-shutdown-phase=45s"], None),
        (&["java", "-jar", "app.jar", flag], Some("spring-boot --spring.lifecycle.timeout-per-shutdown-phase 45s")),
        (
            &["standalone.sh", "-b", "0.0.0.0", "-Dorg.wildfly.sigterm.suspend.timeout=20"],
            Some("wildfly org.wildfly.sigterm.suspend.timeout 20s"),
        ),
        (
            &["java", "-jar", "app.jar", "--camel.main.shutdown-timeout=60"],
            Some("camel --camel.main.shutdownTimeout 60s"),
        ),
    ]);
}

#[test]
fn flags_have_precedence_over_variables() {
    for (command, name, value, expected) in [
        (&["gunicorn", "--graceful-timeout=60"][..], "GUNICORN_CMD_ARGS", "--graceful-timeout=45", "60s"),
        (&["uvicorn", "--timeout-graceful-shutdown=60"], "UVICORN_TIMEOUT_GRACEFUL_SHUTDOWN", "45", "60s"),
        (&["java", "-Dquarkus.shutdown.timeout=60"], "QUARKUS_SHUTDOWN_TIMEOUT", "45", "60s"),
        (&["java", "-Dquarkus.shutdown.timeout=60"], "JAVA_TOOL_OPTIONS", "-Dquarkus.shutdown.timeout=45", "60s"),
    ] {
        let container = json!({"command": command, "env": [{"name": name, "value": value}]});
        let found = read(&container, None).unwrap();
        assert!(found.ends_with(expected), "{found}");
    }
}

#[test]
fn parts_are_added() {
    let web = "--entrypoints.web.transport.lifecycle";
    let wait = format!("{web}.requestAcceptGraceTimeout=60s");
    let grace = format!("{web}.graceTimeOut=120");
    let both = Some("traefik requestAcceptGraceTimeout + graceTimeOut 180s");
    commands(&[
        (&[&wait, &grace], both),
        (&["traefik", &wait, &grace], both),
        (&[&wait], Some("traefik requestAcceptGraceTimeout 70s")),
        (&[&grace], Some("traefik graceTimeOut 120s")),
        (&["--entryPoints.web.transport.lifeCycle.graceTimeOut", "1m30s"], Some("traefik graceTimeOut 90s")),
        (&[&wait, "--entrypoints.websecure.transport.lifecycle.gracetimeout=90s"], Some("traefik graceTimeOut 90s")),
        (
            &[&wait, "--entrypoints.web.transport.lifecycle.gracetimeout=soon"],
            Some("traefik requestAcceptGraceTimeout + graceTimeOut ?"),
        ),
    ]);
    variables(&[("TRAEFIK_ENTRYPOINTS_WEB_TRANSPORT_LIFECYCLE_GRACETIMEOUT", "45s", Some("traefik graceTimeOut 45s"))]);
    let env = json!([{"name": "QUARKUS_SHUTDOWN_TIMEOUT", "value": "30s"}, {"name": "QUARKUS_SHUTDOWN_DELAY", "value": "5s"}]);
    let expected = "quarkus QUARKUS_SHUTDOWN_TIMEOUT + QUARKUS_SHUTDOWN_DELAY 35s";
    assert_eq!(read(&json!({"env": env}), None).as_deref(), Some(expected));
}

#[test]
fn flags_that_several_programs_have_need_a_known_program() {
    let args = json!({"args": ["--graceful-timeout=60", "app:app"]});
    assert_eq!(read(&args, None), None);
    assert_eq!(read(&args, Some("gunicorn")).as_deref(), Some("gunicorn --graceful-timeout 60s"));
    assert_eq!(read(&args, Some("hypercorn")).as_deref(), Some("hypercorn --graceful-timeout 60s"));
    assert_eq!(read(&args, Some("spring-boot")), None);
    let image = json!({"image": "quay.io/keycloak/keycloak:26", "args": ["start", "--shutdown-timeout=30s"]});
    assert_eq!(read(&image, None).as_deref(), Some("keycloak --shutdown-timeout 31s"));
    let image = json!({"image": "redis:7", "args": ["--shutdown-timeout", "60"]});
    assert_eq!(read(&image, None).as_deref(), Some("redis --shutdown-timeout 60s"));
    let worker = json!({"args": ["worker", "--time-limit=60"]});
    assert_eq!(read(&worker, None), None);
    assert_eq!(read(&worker, Some("celery")).as_deref(), Some("celery --time-limit 60s"));
}

#[test]
fn the_program_of_the_command_decides() {
    let env = json!([{"name": "UVICORN_TIMEOUT_GRACEFUL_SHUTDOWN", "value": "9"}]);
    let gunicorn =
        json!({"command": ["gunicorn", "-k", "uvicorn.workers.UvicornWorker", "--graceful-timeout=60"], "env": env});
    assert_eq!(read(&gunicorn, Some("uvicorn")).as_deref(), Some("gunicorn --graceful-timeout 60s"));
}

#[test]
fn values_that_the_manifest_does_not_contain_are_unknown() {
    let from =
        json!([{"name": "QUARKUS_SHUTDOWN_TIMEOUT", "valueFrom": {"configMapKeyRef": {"name": "a", "key": "b"}}}]);
    assert_eq!(read(&json!({"env": from}), None).as_deref(), Some("quarkus QUARKUS_SHUTDOWN_TIMEOUT ?"));
    assert_eq!(read(&json!({"envFrom": [{"configMapRef": {"name": "a"}}]}), None), None);
    assert_eq!(read(&json!({}), Some("gunicorn")), None);
}

#[test]
fn every_setting_of_the_data_is_read() {
    for settings in Settings::all() {
        let part = &settings.parts[0];
        for variable in &part.variables {
            let value = if settings.runtime == "quarkus" { "17" } else { "17s" };
            let value = if part.notation.read(value).is_some() { value } else { "17" };
            let name = variable.text.replace('*', "WEB");
            let container = json!({"env": [{"name": name, "value": value}]});
            let found = read(&container, None).unwrap();
            assert!(found.starts_with(settings.runtime.as_str()) && !found.ends_with('?'), "{found}");
        }
        for property in &part.properties {
            let value = if part.notation.read("17").is_some() { "17" } else { "17s" };
            let container = json!({"command": ["java", format!("-D{}={value}", property.text), "-jar", "app.jar"]});
            let found = read(&container, None).unwrap();
            assert!(found.starts_with(settings.runtime.as_str()) && !found.ends_with('?'), "{found}");
        }
        for flag in &part.flags {
            let program = settings.programs.first().map_or("java", String::as_str);
            let value = if part.notation.read("17").is_some() { "17" } else { "17s" };
            let value = part.directive.as_ref().map_or(value.to_owned(), |directive| format!("{directive} {value}"));
            let flag = flag.text.replace('*', "web");
            let command = if flag.starts_with('-') {
                json!([program, flag, value])
            } else {
                json!([program, format!("{flag}={value}")])
            };
            let container = json!({"command": command});
            let found = read(&container, None).unwrap();
            assert!(found.starts_with(settings.runtime.as_str()) && !found.ends_with('?'), "{found}");
        }
    }
}

#[test]
fn no_text_causes_a_panic_and_work_is_bounded() {
    let long = format!("-{}", "g".repeat(200_000));
    let many = vec!["--graceful-timeout"; 20_000];
    for command in [
        vec!["gunicorn", long.as_str()],
        many,
        vec!["sh", "-c", "gunicorn --graceful-timeout \"${"],
        vec!["-", "--", "=", "-D", "-D="],
    ] {
        let _ = read(&json!({"command": command, "env": [{"name": "", "value": "$("}]}), Some("gunicorn"));
    }
    let repeated = |text: &str| text.repeat(300_000);
    for value in [repeated("$("), repeated("$(A)"), repeated("-Da=b "), repeated("${")] {
        let env = json!([{"name": "A", "value": value}, {"name": "JAVA_OPTS", "value": value}]);
        let _ = read(&json!({"command": ["sh", "-c", value], "env": env}), None);
        let _ = read(&json!({"args": ["gunicorn", "--graceful-timeout", value], "env": env}), None);
    }
    let nested = "{\"spring\":".repeat(1000);
    let _ = read(&json!({"env": [{"name": "SPRING_APPLICATION_JSON", "value": nested}]}), None);
}
