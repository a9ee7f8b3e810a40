/**
 * The factory of one grid: a contract of 75 bytes that makes contracts at addresses that follow from their code (CREATE2),
 * and calls them. It obeys one owner. Contracts that remember who made them remember the factory, so whatever the maker of
 * a contract may do goes through it.
 *
 * It is written by hand because there is so little of it, and because nothing about it may ever change: each address of a
 * grid follows from its bytes.
 */
import { concat, getCreate2Address, keccak256, ZeroAddress, ZeroHash } from 'ethers'

/**
 * Input: 20 bytes of an address, then bytes. With address zero the bytes make a contract, with salt zero; else they are the
 * input of a call. What refuses is passed on with its reason.
 *
 * | at | instructions | stack after, top first |
 * |---|---|---|
 * | 00 | caller, owner, xor; to 43 unless they are the same | |
 * | 1a | calldatasize - 20 | size |
 * | 1e | calldatacopy(0, 20, size) | size |
 * | 23 | calldataload(0) >> 96; to 35 if it is not zero | target, size |
 * | 2c | create2(0, 0, size, 0); to 43 if it gave none; stop | |
 * | 35 | call(gas, target, 0, 0, size, 0, 0); to 43 if it failed; stop | |
 * | 43 | returndatacopy(0, 0, returndatasize); revert(0, returndatasize) | |
 */
const runtimeOf = (owner: string): string =>
  concat([
    ...['0x3373', owner, '0x18604357'],
    ...['0x60143603', '0x8060145f37', '0x5f3560601c', '0x80603557'],
    ...['0x905f5ff5', '0x15604357', '0x00'],
    ...['0x5b5f5f835f5f855af1', '0x15604357', '0x00'],
    '0x5b3d5f5f3e3d5ffd',
  ])

/** Copies the 75 bytes behind it and returns them. */
const CREATION = '0x604b8060095f395ff3'

/** The factory's code, once made. @param owner - Whom it obeys. */
export const factoryCode = (owner: string): string => runtimeOf(owner.toLowerCase())

/** What makes the factory. @param owner - Whom it obeys. */
export const factoryInit = (owner: string): string => concat([CREATION, factoryCode(owner)])

/** Input for the factory to make a contract. @param init - Its code with the constructor's arguments. */
export const makeInput = (init: string): string => concat([ZeroAddress, init])

/** Input for the factory to call a contract. @param target - The contract. @param data - Its input. */
export const callInput = (target: string, data: string): string => concat([target, data])

/** Where a factory makes a contract. @param factory - The factory. @param init - As for {@link makeInput}. */
export const addressMade = (factory: string, init: string): string =>
  getCreate2Address(factory, ZeroHash, keccak256(init))
