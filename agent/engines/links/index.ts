/** Links between nodes: the only door of this engine. */
export { LINK_ERRORS, type LinkErrorCode, linkClosed } from './errors.ts'
export { type Libp2pLinksInit, startLibp2pLinks } from './libp2p-links.ts'
export type {
  InboundHandler,
  LinkPeer,
  LinkPeerStatus,
  LinkPolicy,
  LinkStream,
  Links,
  LinksStatus,
} from './ports.ts'
export { isStrayLinkError } from './stray-error.ts'
export { streamPair } from './stream-pair.ts'
