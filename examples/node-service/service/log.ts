/** One JSON line on stdout for each event, as the shutdown library writes them. */
export function log(line: Record<string, unknown>): void {
  console.log(JSON.stringify({ time: new Date().toISOString(), ...line }));
}

/** For a client's error events: logs the first one of each outage. A client repeats them while it tries to reconnect. */
export function outages(client: string): { failed: (error: Error) => void; over: () => void } {
  let down = false;
  return {
    failed(error) {
      if (!down) log({ event: 'connection lost', client, error: error.message });
      down = true;
    },
    over() {
      if (down) log({ event: 'connected again', client });
      down = false;
    },
  };
}
