export interface Configuration {
  port: number;
  /** How long a request takes before it stores anything. */
  workMs: number;
  /** How long a job takes. */
  jobMs: number;
  /** From the signal until the listener closes. */
  waitMs: number;
  redisUrl: string;
  mongodbUrl: string;
  kafkaBrokers: string[];
  kafkaTopic: string;
}

const TEN_MINUTES = 600_000;

/** The only parser of the environment. Throws a RangeError that names the variable and what it accepts. */
export function readConfiguration(environment: Record<string, string | undefined>): Configuration {
  const read = <T>(name: string, fallback: string, parse: (name: string, text: string) => T): T =>
    parse(name, environment[name] || fallback);

  return {
    port: read('PORT', '3000', wholeNumber(65_535)),
    workMs: read('WORK_MS', '50', wholeNumber(TEN_MINUTES)),
    jobMs: read('JOB_MS', '200', wholeNumber(TEN_MINUTES)),
    waitMs: read('SHUTDOWN_WAIT_MS', '1000', wholeNumber(TEN_MINUTES)),
    redisUrl: read('REDIS_URL', 'redis://redis:6379', url(['redis:', 'rediss:'])),
    mongodbUrl: read('MONGODB_URL', 'mongodb://mongodb:27017/orders', url(['mongodb:', 'mongodb+srv:'])),
    kafkaBrokers: read('KAFKA_BROKERS', 'kafka:9092', brokers),
    kafkaTopic: read('KAFKA_TOPIC', 'orders', topic),
  };
}

const wholeNumber =
  (most: number) =>
  (name: string, text: string): number => {
    if (/^[0-9]{1,7}$/.test(text) && Number(text) <= most) return Number(text);
    throw invalid(name, text, `a whole number from 0 to ${most}`);
  };

// MongoDB's URL may list several hosts, which URL does not parse.
const url =
  (schemes: string[]) =>
  (name: string, text: string): string => {
    const scheme = schemes.find((each) => text.startsWith(`${each}//`));
    if (scheme && text.length > scheme.length + 2 && text.length <= 1000) return text;
    // Not the text itself: it may contain a password.
    throw new RangeError(`${name} must begin with ${schemes.join('// or ')}// and have at most 1000 characters`);
  };

function brokers(name: string, text: string): string[] {
  const all = text.split(',');
  const valid = (broker: string) => /^[A-Za-z0-9.-]{1,253}:[0-9]{1,5}$/.test(broker);
  if (all.length <= 20 && all.every(valid)) return all;
  throw invalid(name, text, 'at most 20 times host:port, separated by commas');
}

function topic(name: string, text: string): string {
  if (/^[A-Za-z0-9._-]{1,249}$/.test(text)) return text;
  throw invalid(name, text, "1 to 249 of Kafka's characters for topics: letters, digits, '.', '_', '-'");
}

function invalid(name: string, text: string, accepted: string): RangeError {
  return new RangeError(`${name} is ${JSON.stringify(text.slice(0, 100))}: it must be ${accepted}`);
}
