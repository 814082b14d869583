import terminus from '@godaddy/terminus';
import { cleanUp, DEADLINE_MS, listen, server, WAIT_MS } from './shared.js';

terminus.createTerminus(server, {
  signals: ['SIGTERM', 'SIGINT'],
  healthChecks: { '/health': async () => {} },
  timeout: DEADLINE_MS - WAIT_MS,
  useExit0: true,
  // "How to set Terminus up with Kubernetes"
  beforeShutdown: () => new Promise((resolve) => setTimeout(resolve, WAIT_MS)),
  onSignal: cleanUp,
});
listen({ health: 'own port' });
