/** Which account of the local ledger plays which role; farmers have the ones after. */
export const ROLES = { deployer: 0, holder: 1, tenant: 2 } as const

/** Account of the first farmer. */
export const FIRST_FARMER = 3
