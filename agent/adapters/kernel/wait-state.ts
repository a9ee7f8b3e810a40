/** The one word that the main thread and the waiting thread share: who watches the device now. */

/** The main thread reads the device; the worker sleeps. */
export const WAIT_IDLE = 0
/** The worker watches the device. */
export const WAIT_ARMED = 1
/** The worker ends. */
export const WAIT_STOP = 2

/** What the worker is started with. */
export interface WaitWorkerData {
  readonly fd: number
  readonly state: SharedArrayBuffer
}
