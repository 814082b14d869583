export type LogEvent =
  | 'setting-not-used'
  | 'begun'
  | 'signal-ignored'
  | 'listeners-closed'
  | 'web-sockets-destroyed'
  | 'connections-closed'
  | 'step-failed'
  | 'phase-finished'
  | 'deadline-passed'
  | 'finished'
  | 'uncaught-exception'
  | 'unhandled-rejection';

export interface LogLine {
  event: LogEvent;
  /** Since the shutdown began. */
  ms?: number;
  connections: number;
  openRequests: number;
  /** More fields, which depend on the event. */
  [field: string]: unknown;
}

export type Log = (line: LogLine) => void;

export const defaultLog: Log = (line) => {
  process.stdout.write(`${JSON.stringify({ time: new Date().toISOString(), ...line })}\n`);
};

/** A log whose errors do not stop the shutdown. */
export function quietly(log: Log): Log {
  return (line) => {
    try {
      log(line);
    } catch {
      // Nobody is left to tell.
    }
  };
}
