/** The door of the engine `network`: see its README. */
export { addressOf } from './address.ts'
export { NETWORK_ERRORS } from './errors.ts'
export { VARVE_WIRE, WIREGUARD, type Wire } from './handshake.ts'
export type { Endpoint, PeerConfig, PeerKey, PeerStatus, TunnelPorts } from './ports.ts'
export { type Prefix, parsePrefix } from './routes.ts'
export { Tunnel } from './tunnel.ts'
