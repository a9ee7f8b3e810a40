/** A store that follows another, as its protocol shows and ends it. */

/** How far the replica of one namespace is. */
export interface ReplicaFacts {
  readonly namespace: string
  /** `diverged` is final: somebody has to look. */
  readonly state: 'connecting' | 'following' | 'diverged' | 'stopped'
  /** Count of records that it has, durable. */
  readonly position: number
  /** Count of records of the primary, as last heard. */
  readonly primaryPosition: number
  /** Why it last lost its primary; empty if it never did. */
  readonly problem: string
}

/** What the protocol does with it. */
export interface ReplicaControl {
  /** `host:port` of the primary. */
  readonly primary: string
  /** False once it was promoted. */
  readonly isFollowing: boolean
  facts(): readonly ReplicaFacts[]
  /** Stops following and makes what was followed writable. */
  promote(): Promise<void>
}
