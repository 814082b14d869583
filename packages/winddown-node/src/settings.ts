/** Environment variable with the seconds from SIGTERM until the process must have ended: decimal, whole. */
const DEADLINE_VARIABLE = 'WINDDOWN_DEADLINE_SECONDS';
/** The highest deadline of the operator: 720h. */
const MAX_DEADLINE_SECONDS = 2_592_000;
const DEFAULT_DEADLINE_MS = 25_000;
const DEFAULT_WAIT_MS = 1_000;
const DEFAULT_WEB_SOCKET_MS = 5_000;
const DEFAULT_BODY_MS = 5_000;
/** The longest timer of Node.js; it fires a longer one at once. */
const MAX_MS = 2 ** 31 - 1;

/** Times in milliseconds. */
export interface Times {
  /** From the signal until the listeners close. Default: 1000. */
  waitMs?: number;
  /**
   * From the signal until the process exits with 1 in any case. Default: `WINDDOWN_DEADLINE_SECONDS`, else 25000. With
   * both, the shorter one counts.
   */
  deadlineMs?: number;
  /** From the close frames until WebSockets that are still open are destroyed. Default: 5000. */
  webSocketMs?: number;
  /** From the last byte of an unfinished request body until its connection is closed. Default: 5000. */
  bodyMs?: number;
}

export type Settings = Required<Times> & {
  /** What was not used as it was given. */
  problems: string[];
};

/** The times that count. Throws a RangeError for an option that is no time; a bad variable is only a problem. */
export function readSettings(times: Times, environment: Record<string, string | undefined>): Settings {
  const problems: string[] = [];
  const budget = readDeadline(environment[DEADLINE_VARIABLE], problems);
  let deadlineMs = checked('deadlineMs', times.deadlineMs, 1) ?? budget ?? DEFAULT_DEADLINE_MS;
  if (budget !== undefined && deadlineMs > budget) {
    problems.push(`deadlineMs ${deadlineMs} is longer than ${DEADLINE_VARIABLE}: ${budget} is used`);
    deadlineMs = budget;
  }
  // A half remains for the requests that are open then, and for the clean-up.
  const half = (name: Exclude<keyof Times, 'deadlineMs'>, fallback: number, total: number) => {
    const most = Math.floor(total / 2);
    const given = checked(name, times[name], 0);
    if (given !== undefined && given > most)
      problems.push(`${name} ${given} is longer than half of ${total} ms: ${most} is used`);
    return Math.min(given ?? fallback, most);
  };
  const waitMs = half('waitMs', DEFAULT_WAIT_MS, deadlineMs);
  const webSocketMs = half('webSocketMs', DEFAULT_WEB_SOCKET_MS, deadlineMs - waitMs);
  const bodyMs = half('bodyMs', DEFAULT_BODY_MS, deadlineMs - waitMs);
  return { waitMs, deadlineMs, webSocketMs, bodyMs, problems };
}

function readDeadline(text: string | undefined, problems: string[]): number | undefined {
  if (text === undefined) return undefined;
  const seconds = /^[0-9]{1,7}$/.test(text) ? Number(text) : Number.NaN;
  // 0 is a deadline, too: what is open then is dropped, but the process is not killed.
  if (seconds <= MAX_DEADLINE_SECONDS) return Math.min(seconds * 1000, MAX_MS);
  problems.push(
    `${DEADLINE_VARIABLE} is ${JSON.stringify(text.slice(0, 40))}, not a whole number up to ${MAX_DEADLINE_SECONDS}: it is not used`,
  );
  return undefined;
}

function checked(name: string, ms: number | undefined, least: number): number | undefined {
  if (ms === undefined || (Number.isInteger(ms) && ms >= least && ms <= MAX_MS)) return ms;
  throw new RangeError(`${name} is ${ms}: it must be a whole number of milliseconds from ${least} to ${MAX_MS}`);
}
