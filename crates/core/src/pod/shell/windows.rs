//! The shells of Windows.

use std::time::Duration;

use super::effect::{Effect, Failure, Signal, Span, Status};
use super::statements::{Statement, sequence};

/// The name of a Windows program in lower case, without its directory and `.exe`.
fn name(word: &str) -> String {
    let name = word.rsplit(['/', '\\']).next().unwrap_or(word).to_ascii_lowercase();
    name.strip_suffix(".exe").map_or_else(|| name.clone(), str::to_owned)
}

/// What a command line of Windows does; `None` for other command lines.
pub(super) fn effect(words: &[Option<String>]) -> Option<Effect> {
    let words: Option<Vec<_>> = words.iter().map(Option::as_deref).collect();
    let words = words?;
    let (first, arguments) = words.split_first()?;
    match name(first).as_str() {
        "powershell" | "pwsh" => Some(powershell(arguments)),
        "cmd" => Some(cmd(arguments)),
        "timeout" if arguments.iter().any(|word| is_slash_t(word)) => Some(Effect::fails(Failure::WindowsTimeout)),
        _ => None,
    }
}

fn is_slash_t(word: &str) -> bool {
    word.eq_ignore_ascii_case("/t") || word.eq_ignore_ascii_case("/nobreak")
}

/// `cmd /c COMMAND`.
fn cmd(arguments: &[&str]) -> Effect {
    let Some(at) = arguments.iter().position(|word| word.eq_ignore_ascii_case("/c")) else { return Effect::unknown() };
    let text = arguments[at + 1..].join(" ");
    let (mut time, mut signal) = (Span::ZERO, None);
    let mut status = Status::Succeeds;
    for command in text.split(['&', '\n']).map(str::trim).filter(|command| !command.is_empty()) {
        let words: Vec<_> = command.split_whitespace().filter(|word| !word.contains('>')).collect();
        let effect = match words.split_first() {
            Some((first, arguments)) => match name(first.trim_matches('"')).as_str() {
                "timeout" => Effect::fails(Failure::WindowsTimeout),
                "powershell" | "pwsh" => powershell(arguments),
                "ping" => ping(arguments),
                "exit" | "echo" | "rem" => Effect::immediate(Status::Succeeds),
                _ if stops(command) => Effect::signals(Span::at_least(Duration::ZERO)),
                _ => Effect::unknown(),
            },
            None => Effect::unknown(),
        };
        signal = Signal::first(signal, effect.signal.map(|next| next.later(time)));
        time = time.then(effect.time);
        status = effect.status;
    }
    Effect { time, status, signal }
}

/// `ping -n COUNT localhost` waits a second between its packets.
fn ping(arguments: &[&str]) -> Effect {
    let is_local = arguments.iter().any(|word| matches!(*word, "localhost" | "127.0.0.1" | "::1"));
    let count = arguments.iter().position(|word| word.eq_ignore_ascii_case("-n"));
    let count = count.and_then(|at| arguments.get(at + 1)?.parse::<u32>().ok());
    match count {
        Some(count) if is_local => Effect::sleeps(Duration::from_secs(count.saturating_sub(1).into())),
        _ => Effect::unknown(),
    }
}

/// `powershell -Command "Start-Sleep -Seconds 15"`.
fn powershell(mut arguments: &[&str]) -> Effect {
    while let [option, rest @ ..] = arguments {
        let Some(option) = option.strip_prefix(['-', '/']).map(str::to_ascii_lowercase) else { break };
        match option.as_str() {
            "" | "c" | "command" => {
                arguments = rest;
                break;
            }
            "noprofile" | "nop" | "noninteractive" | "noni" | "nologo" | "sta" | "mta" => arguments = rest,
            "executionpolicy" | "ep" | "ex" | "exec" | "windowstyle" | "w" | "version" | "v" => {
                arguments = rest.get(1..).unwrap_or_default();
            }
            // `-File` and `-EncodedCommand`.
            _ => return Effect::unknown(),
        }
    }
    let text = arguments.join(" ");
    let statements = text.trim_matches(['"', '&', '{', '}', ' ']).split([';', '\n']).map(str::trim);
    sequence(statements.filter(|statement| !statement.is_empty()).map(|statement| {
        if statement.contains(['{', '}', '|', '(']) {
            return Statement::Branches;
        }
        match start_sleep(statement) {
            Some(time) => Statement::sleeps(time),
            None if stops(statement) => Statement::Stops,
            None => Statement::UNKNOWN,
        }
    }))
}

/// Commands that stop a service, such as IIS.
fn stops(statement: &str) -> bool {
    let statement = statement.to_ascii_lowercase();
    let mut words = statement.split_whitespace();
    match words.next().map(name).as_deref() {
        Some("stop-service" | "stop-website" | "stop-webapppool" | "stop-iissite") => true,
        Some("iisreset") => words.any(|word| word == "/stop"),
        Some("net" | "sc") => words.next() == Some("stop"),
        _ => false,
    }
}

/// The duration of a `Start-Sleep`. Parameters may be abbreviated, and cases do not matter.
fn start_sleep(statement: &str) -> Option<Duration> {
    let statement = statement.to_ascii_lowercase();
    let mut words =
        statement.split([' ', '\t', ':']).map(|word| word.trim_matches(['"', '\''])).filter(|word| !word.is_empty());
    if !matches!(words.next()?, "start-sleep" | "sleep") {
        return None;
    }
    let first = words.next()?;
    let is_short =
        |long: &str| first.strip_prefix('-').is_some_and(|option| !option.is_empty() && long.starts_with(option));
    let (unit, number) = match first {
        _ if is_short("seconds") => (1.0, words.next()?),
        _ if is_short("milliseconds") || first == "-ms" => (0.001, words.next()?),
        number => (1.0, number),
    };
    let number: f64 = number.parse().ok().filter(|_| words.next().is_none())?;
    Duration::try_from_secs_f64(number * unit).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Effect, Failure, Span, effect};

    fn run(line: &[&str]) -> Option<Effect> {
        effect(&line.iter().map(|word| Some((*word).to_owned())).collect::<Vec<_>>())
    }

    #[test]
    fn start_sleep_is_a_sleep() {
        for (line, milliseconds) in [
            (&["powershell", "-Command", "Start-Sleep -Seconds 15"][..], 15_000),
            (&["powershell.exe", "-NoProfile", "-c", "start-sleep -s 15"], 15_000),
            (&["pwsh", "-ExecutionPolicy", "Bypass", "-Command", "Start-Sleep", "15"], 15_000),
            (&["C:\\Windows\\powershell.exe", "Start-Sleep -Milliseconds 500"], 500),
            (&["powershell", "-Command", "& { Start-Sleep -Seconds 10; Start-Sleep -m 500 }"], 10_500),
            (&["powershell", "Start-Sleep -Seconds '15'"], 15_000),
            (&["cmd", "/S", "/C", "powershell Start-Sleep 15"], 15_000),
            (&["cmd.exe", "/c", "ping -n 16 127.0.0.1 > nul"], 15_000),
        ] {
            let time = run(line).map(|effect| effect.time);
            assert_eq!(time, Some(Span::exactly(Duration::from_millis(milliseconds))), "{line:?}");
        }
    }

    #[test]
    fn other_statements_have_an_unknown_duration() {
        for (line, seconds) in [
            (&["powershell", "Start-Sleep 15; Stop-Service w3svc"][..], 15),
            (&["powershell", "if ($x) { Start-Sleep 15 }"], 0),
            (&["powershell", "Start-Sleep $env:DRAIN"], 0),
            (&["powershell", "-File", "drain.ps1"], 0),
            (&["powershell", "Start-Sleep"], 0),
            (&["powershell", "Start-Sleep -1"], 0),
            (&["cmd", "/c", "drain.bat"], 0),
            (&["cmd"], 0),
        ] {
            let time = run(line).map(|effect| effect.time);
            assert_eq!(time, Some(Span::at_least(Duration::from_secs(seconds))), "{line:?}");
        }
        assert_eq!(run(&["sh", "-c", "x"]), None);
    }

    #[test]
    fn a_service_that_is_stopped_ends_the_drain() {
        for (line, seconds) in [
            (&["powershell", "Stop-Service w3svc"][..], 0),
            (&["powershell", "-Command", "Start-Sleep 15; Stop-Service -Name W3SVC; Start-Sleep 5"], 15),
            (&["cmd", "/c", "ping -n 16 127.0.0.1 > nul & iisreset /stop"], 15),
            (&["cmd", "/c", "powershell Start-Sleep 15 && net stop w3svc"], 15),
        ] {
            let signal = run(line).and_then(|effect| effect.signal).unwrap_or_else(|| panic!("{line:?}"));
            assert_eq!((signal.after.as_secs(), signal.exactly), (seconds, true), "{line:?}");
        }
        for line in [&["powershell", "Restart-Service x"][..], &["cmd", "/c", "iisreset"]] {
            assert_eq!(run(line).unwrap().signal, None, "{line:?}");
        }
    }

    #[test]
    fn the_timeout_of_windows_needs_a_console() {
        for line in [
            &["cmd", "/c", "timeout /t 15"][..],
            &["cmd.exe", "/c", "timeout", "/T", "15", "/nobreak", ">nul"],
            &["timeout.exe", "/t", "15"],
        ] {
            assert_eq!(run(line), Some(Effect::fails(Failure::WindowsTimeout)), "{line:?}");
        }
    }
}
