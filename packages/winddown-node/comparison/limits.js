export const WAIT_MS = 500;
export const DEADLINE_MS = 2500;
