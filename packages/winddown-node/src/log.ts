export type LogEvent =
  | 'setting-not-used'
  | 'begun'
  | 'signal-ignored'
  | 'listeners-closed'
  | 'web-socket-failed'
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
  const { stdout } = process;
  stdout.write(`${JSON.stringify({ time: new Date().toISOString(), ...line })}\n`, (error) => {
    // A closed pipe or a full disk. The event comes after this, and would be an uncaught exception.
    if (error) stdout.off('error', ignore).once('error', ignore);
  });
};

const ignore = () => {};

/** A log whose errors do not stop the shutdown. */
export function quietly(log: Log): Log {
  return (line) => {
    // There is no other place for an error or a rejection.
    (async () => log(line))().catch(ignore);
  };
}
