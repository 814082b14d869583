//! API tests: the winddown binary with the chart's webhook configurations and RBAC objects on a real kube-apiserver.
//!
//! Most tests share one API server; each test has its own namespace. Tests that change shared state (stop the operator,
//! modify the webhook configurations) take turns on other API servers. Those that measure run alone.

mod agreement;
mod audit;
mod budget_definition;
mod budget_writes;
mod budgets;
mod certificates;
mod chart_values;
mod controller;
mod denial;
mod drill;
mod environment;
mod events;
mod existing_violations;
mod grace_period;
mod injection;
mod kinds;
mod leadership;
mod manifest;
mod metrics;
mod missed_changes;
mod modes;
mod namespace;
mod namespaces;
mod observation;
mod other_webhook;
mod ownership;
mod plugin;
mod policies;
mod policy_changes;
mod program;
mod reapply;
mod related;
mod request;
mod rights;
mod soak;
mod suite;
mod undo;
mod upgrade;
mod variables;
mod ways_of_writing;

use std::process::ExitCode;

fn main() -> ExitCode {
    suite::run(
        [
            injection::tests(),
            ownership::tests(),
            variables::tests(),
            denial::tests(),
            grace_period::tests(),
            undo::tests(),
            modes::tests(),
            reapply::tests(),
            existing_violations::tests(),
            events::tests(),
            missed_changes::tests(),
            kinds::tests(),
            namespaces::tests(),
            policy_changes::tests(),
            budgets::tests(),
            budget_writes::tests(),
            agreement::tests(),
            audit::tests(),
            controller::tests(),
            related::tests(),
            other_webhook::tests(),
            leadership::tests(),
            upgrade::tests(),
            certificates::tests(),
            rights::tests(),
            policies::tests(),
            budget_definition::tests(),
            chart_values::tests(),
            metrics::tests(),
            observation::tests(),
            plugin::tests(),
            drill::tests(),
            soak::tests(),
        ]
        .concat(),
    )
}
