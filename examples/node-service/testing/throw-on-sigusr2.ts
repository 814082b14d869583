// A bug outside of every request, on demand: node --import ./testing/throw-on-sigusr2.ts server.ts
process.on('SIGUSR2', () => {
  throw new Error('thrown on SIGUSR2');
});
