/** One step of the clean-up. It may return a promise. */
export type Step = () => unknown;

/** The steps that run together, by name. */
export type Phase = Readonly<Record<string, Step>>;

export interface FailedStep {
  /** From 1. */
  phase: number;
  step: string;
  error: string;
}

/** The types demand it, but JavaScript does not check them: a phase that is a function would have no steps. */
export function checkPhases(phases: readonly unknown[]): void {
  for (const [index, phase] of phases.entries()) {
    const isPhase =
      phase && typeof phase === 'object' && Object.values(phase).every((step) => typeof step === 'function');
    if (!isPhase) throw new TypeError(`phase ${index + 1} is not an object of functions`);
  }
}

/** Runs all steps to their end, also if one fails. `pending` has the names of those that still run. */
export async function runPhase(
  phase: number,
  steps: Phase,
  pending: Set<string>,
  failed: (step: FailedStep) => void,
): Promise<void> {
  await Promise.all(
    Object.entries(steps).map(async ([step, run]) => {
      pending.add(step);
      try {
        await run();
      } catch (error) {
        failed({ phase, step, error: String(error) });
      } finally {
        pending.delete(step);
      }
    }),
  );
}
