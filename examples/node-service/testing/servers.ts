import { execFile, spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

// Real servers on free loopback ports, in folders of their own, ended with the tests.
// Not those of e2e/servers/local: tests stop single servers and start them again.

export interface Server {
  port: number;
  /** Sends a signal: SIGKILL ends the server, SIGSTOP leaves its connections open and without an answer. */
  kill(signal: NodeJS.Signals): void;
}

const START_LIMIT_MS = 60_000;

/**
 * What the tests with servers lack on this machine: empty if they can run.
 *
 * - `REDIS_SERVER`: the program, else `redis-server` on the PATH
 * - `MONGODB_SERVER`: a program that takes an address and a folder, such as FerretDB; else `mongod` on the PATH
 * - `KAFKA_JARS`: the folder with the jars of Apache Kafka; and `java` on the PATH
 */
export function missing(): string[] {
  const lacking = [];
  if (!redisProgram()) lacking.push('redis-server (REDIS_SERVER)');
  if (!mongodbProgram()) lacking.push('mongod (MONGODB_SERVER)');
  if (!process.env['KAFKA_JARS'] || !onPath('java')) lacking.push('Apache Kafka (KAFKA_JARS and java)');
  return lacking;
}

export async function startRedis(port?: number): Promise<Server & AsyncDisposable> {
  return await start('redis', (free) => [redisProgram(), '--bind', '127.0.0.1', '--port', `${free}`, '--save', ''], port);
}

export async function startMongodb(): Promise<Server & AsyncDisposable> {
  const own = process.env['MONGODB_SERVER'];
  return await start('mongodb', (port, folder) => {
    if (own) return [own, `127.0.0.1:${port}`, folder];
    return [mongodbProgram(), '--bind_ip', '127.0.0.1', '--port', `${port}`, '--dbpath', folder];
  });
}

export async function startKafka(): Promise<Server & AsyncDisposable> {
  const controller = await freePort();
  const java = ['java', '-Xmx256m', '-cp', join(process.env['KAFKA_JARS'] ?? '', '*')];
  return await start('kafka', async (port, folder) => {
    const settings = join(folder, 'server.properties');
    await writeFile(settings, kafkaSettings(port, controller, folder));
    await finished([...java, 'kafka.tools.StorageTool', 'format', '-t', 'd2luZGRvd24tdGVzdHMtMQ', '-c', settings]);
    return [...java, 'kafka.Kafka', settings];
  });
}

const kafkaSettings = (port: number, controller: number, folder: string) => `
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:${controller}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controller}
advertised.listeners=PLAINTEXT://127.0.0.1:${port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=${join(folder, 'logs')}
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
offsets.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
`;

async function start(
  name: string,
  command: (port: number, folder: string) => string[] | Promise<string[]>,
  fixedPort?: number,
): Promise<Server & AsyncDisposable> {
  const folder = await mkdtemp(join(tmpdir(), `node-service-${name}-`));
  const port = fixedPort ?? (await freePort());
  const [program = '', ...args] = await command(port, folder);
  const child = spawn(program, args, { cwd: folder, stdio: 'ignore' });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.once('error', () => {});
  const kill = (signal: NodeJS.Signals) => child.kill(signal);
  // Also where a test file ends without its hooks.
  const atExit = () => kill('SIGKILL');
  process.once('exit', atExit);

  const end = performance.now() + START_LIMIT_MS;
  while (!(await accepts(port))) {
    if (child.exitCode !== null || performance.now() > end) throw new Error(`${name} does not start: ${program}`);
    await sleep(100);
  }
  return {
    port,
    kill,
    async [Symbol.asyncDispose]() {
      process.off('exit', atExit);
      kill('SIGKILL');
      await exited;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

const given = new Set<number>();

/** A free port that was not given before: the kernel may give a port twice. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  if (given.has(port)) return await freePort();
  given.add(port);
  return port;
}

function finished([program = '', ...args]: string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    execFile(program, args, (error, stdout, stderr) => {
      if (error) reject(new Error(`${program} ${args.join(' ')}: ${stdout}${stderr}`, { cause: error }));
      else resolve();
    });
  });
}

const redisProgram = () => process.env['REDIS_SERVER'] || onPath('redis-server');
const mongodbProgram = () => process.env['MONGODB_SERVER'] || onPath('mongod');

function onPath(program: string): string {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return join(folder, program);
    } catch {
      // Not in this folder.
    }
  }
  return '';
}
