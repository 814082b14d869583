import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A self-signed certificate and its key, made once. */
export function certificate() {
  const kept = join(import.meta.dirname ?? '.', '../node_modules/.cache/certificate');
  if (!existsSync(kept)) {
    const made = mkdtempSync(join(tmpdir(), 'winddown-node-'));
    const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '3650'];
    const files = ['-keyout', join(made, 'key'), '-out', join(made, 'cert')];
    execFileSync('openssl', ['req', '-x509', ...curve, ...files, '-subj', '/CN=localhost'], { stdio: 'ignore' });
    mkdirSync(join(kept, '..'), { recursive: true });
    renameSync(made, kept);
  }
  return { key: readFileSync(join(kept, 'key')), cert: readFileSync(join(kept, 'cert')) };
}
