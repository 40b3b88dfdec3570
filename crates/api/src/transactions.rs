//! `transactions`: what wallets have sent and received.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::components::Direction;
use crate::method::{Access, Example, Visibility, methods, no_request_id, with_request_id};
use crate::wire::{
    Address, Amount, ComponentId, Cursor, Limit, Name, RequestId, Revision, Text, Timestamp,
    TransactionHash, wire_enum, wire_object,
};

wire_enum! {
    /// How a transaction is.
    pub enum TransactionStatus {
        /// It is on its way.
        Pending = "pending",
        /// It is in a block.
        Confirmed = "confirmed",
        /// It will never be in one.
        Failed = "failed",
    }
}

wire_object! {
    /// What a caller says of a transaction.
    pub struct TransactionInput {
        /// Its hash.
        pub tx_hash: TransactionHash,
        /// Who sends.
        pub from_address: Address,
        /// Who receives.
        pub to_address: Address,
        /// How much, in the token's own unit.
        pub amount: Amount,
        /// Which token; ETH where left out.
        pub token_address: Option<Address>,
        /// On which network.
        pub network: Name,
        /// How it is.
        pub status: TransactionStatus,
        /// How much gas it took.
        pub gas_used: Option<Amount>,
        /// What gas cost, in gwei.
        pub gas_price_gwei: Option<Amount>,
        /// What it is for.
        pub purpose: Option<Text>,
        /// Which component made it; set from the credential of a component.
        pub component_id: Option<ComponentId>,
        /// When it was made; now where left out, and as it was on update.
        pub timestamp: Option<Timestamp>,
        /// When it was confirmed.
        pub confirmed_at: Option<Timestamp>,
    }
}

/// A stored transaction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Transaction {
    /// Its hash.
    pub tx_hash: TransactionHash,
    /// Who sends.
    pub from_address: Address,
    /// Who receives.
    pub to_address: Address,
    /// How much, in the token's own unit, as the text that was given.
    pub amount: Amount,
    /// Which token; ETH where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_address: Option<Address>,
    /// On which network.
    pub network: Name,
    /// How it is.
    pub status: TransactionStatus,
    /// How much gas it took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gas_used: Option<Amount>,
    /// What gas cost, in gwei.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gas_price_gwei: Option<Amount>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<Text>,
    /// Which component made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component_id: Option<ComponentId>,
    /// When it was made.
    pub timestamp: Timestamp,
    /// When it was confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed_at: Option<Timestamp>,
    /// The revision of its last change.
    pub revision: Revision,
}

/// A page of transactions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TransactionPage {
    /// The transactions of this page.
    pub items: Vec<Transaction>,
    /// Where the next page begins; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<Cursor>,
}

/// How many transactions of each status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StatusCounts {
    /// On their way.
    pub pending: u64,
    /// In a block.
    pub confirmed: u64,
    /// Never to be in one.
    pub failed: u64,
}

/// How much of a token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TokenTotal {
    /// The token's address, or `ETH`.
    pub token: Address,
    /// How many transactions.
    pub count: u64,
    /// The exact sum of their amounts, whatever their status.
    pub amount: String,
    /// The exact sum of those that are confirmed.
    pub confirmed_amount: String,
}

/// What the transactions of a filter come to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TransactionStats {
    /// How many there are.
    pub count: u64,
    /// How many of each status.
    pub by_status: StatusCounts,
    /// How much of each token, by its address; ETH first.
    pub by_token: Vec<TokenTotal>,
}

wire_object! {
    /// What `transactions.put` takes.
    pub struct PutParams {
        /// The transaction.
        pub transaction: TransactionInput,
        /// Only if this is the transaction's revision; 0: only if it is absent.
        pub if_revision: Option<Revision>,
        /// The caller's id of this request, for repeating it.
        pub request_id: Option<RequestId>,
    }
}
wire_object! {
    /// What `transactions.get` takes.
    pub struct GetParams {
        /// The transaction's hash.
        pub tx_hash: TransactionHash,
    }
}
wire_object! {
    /// What `transactions.updateStatus` takes.
    pub struct UpdateStatusParams {
        /// The transaction's hash.
        pub tx_hash: TransactionHash,
        /// How it is from now on.
        pub status: TransactionStatus,
        /// When it was confirmed; kept where left out.
        pub confirmed_at: Option<Timestamp>,
        /// How much gas it took; kept where left out.
        pub gas_used: Option<Amount>,
        /// What gas cost, in gwei; kept where left out.
        pub gas_price_gwei: Option<Amount>,
        /// Only if this is the transaction's revision.
        pub if_revision: Option<Revision>,
        /// The caller's id of this request, for repeating it.
        pub request_id: Option<RequestId>,
    }
}
wire_object! {
    /// What `transactions.list` takes.
    pub struct ListParams {
        /// Only those that this address sends or receives.
        pub address: Option<Address>,
        /// Only those of this status.
        pub status: Option<TransactionStatus>,
        /// Only those on this network.
        pub network: Option<Name>,
        /// Only those of this token: its address, or `ETH`.
        pub token: Option<Address>,
        /// Only those of this component; a component sees its own alone.
        pub component_id: Option<ComponentId>,
        /// Only those made at this time or later.
        pub from: Option<Timestamp>,
        /// Only those made before this time.
        pub to: Option<Timestamp>,
        /// Which way by time; desc where left out. Ties are ordered by hash.
        pub direction: Option<Direction>,
        /// At most this many items; 100 where left out.
        pub limit: Option<Limit>,
        /// Where to go on: the `nextCursor` of the page before.
        pub cursor: Option<Cursor>,
    }
}
wire_object! {
    /// What `transactions.stats` takes.
    pub struct StatsParams {
        /// Only those that this address sends or receives.
        pub address: Option<Address>,
        /// Only those of this status.
        pub status: Option<TransactionStatus>,
        /// Only those on this network.
        pub network: Option<Name>,
        /// Only those of this token: its address, or `ETH`.
        pub token: Option<Address>,
        /// Only those of this component; a component sees its own alone.
        pub component_id: Option<ComponentId>,
        /// Only those made at this time or later.
        pub from: Option<Timestamp>,
        /// Only those made before this time.
        pub to: Option<Timestamp>,
    }
}
no_request_id!(GetParams, ListParams, StatsParams);
with_request_id!(PutParams, UpdateStatusParams);

methods! {
    "What wallets have sent and received. Amounts are decimal strings and never pass through a float. Addresses and hashes of 0x and hexadecimal digits are the same in any case: an address is answered as it was given, a hash, and the token of a sum, in small letters.";

    /// Stores a transaction.
    ///
    /// Where its hash is known already, only what `transactions.updateStatus` may change may differ:
    /// anything else is `conflict`, reason `exists`.
    Put = "transactions.put" {
        params: PutParams,
        result: Transaction,
        access: Access::Write,
        visibility: Visibility::Own,
        idempotent: true,
        errors: [Conflict, DiskFull, IoError],
        examples: [Example {
            name: "a payment on its way",
            params: r#"{"transaction":{"txHash":"0x5c50","fromAddress":"0xa11ce","toAddress":"0xb0b","amount":"0.25","network":"arbitrum-one","status":"pending"}}"#,
            result: r#"{"txHash":"0x5c50","fromAddress":"0xa11ce","toAddress":"0xb0b","amount":"0.25","network":"arbitrum-one","status":"pending","timestamp":1764028800,"revision":1849708136857618}"#,
        }],
    }

    /// Reads one transaction.
    Get = "transactions.get" {
        params: GetParams,
        result: Transaction,
        access: Access::Read,
        visibility: Visibility::Own,
        idempotent: true,
        errors: [NotFound],
        examples: [Example {
            name: "a payment",
            params: r#"{"txHash":"0x88df"}"#,
            result: r#"{"txHash":"0x88df","fromAddress":"0xa11ce","toAddress":"0xb0b","amount":"1.5","network":"arbitrum-one","status":"pending","timestamp":1764028800,"revision":1849708136857619}"#,
        }],
    }

    /// Lists transactions by time.
    ///
    /// Pages are stable under inserts. A filter that takes few of many may end a page before it is full, or
    /// before it holds anything: there is more for as long as there is a `nextCursor`.
    List = "transactions.list" {
        params: ListParams,
        result: TransactionPage,
        access: Access::Read,
        visibility: Visibility::Own,
        idempotent: true,
        errors: [NotFound],
        examples: [Example {
            name: "what is on its way to or from an address",
            params: r#"{"address":"0xa11ce","status":"pending"}"#,
            result: r#"{"items":[{"txHash":"0x88df","fromAddress":"0xa11ce","toAddress":"0xb0b","amount":"1.5","network":"arbitrum-one","status":"pending","timestamp":1764028800,"revision":1849708136857619}]}"#,
        }],
    }

    /// Says what became of a transaction.
    ///
    /// pending becomes confirmed or failed; any other change is `conflict`, reason `transition`. Of one that
    /// is confirmed or failed only what is not known yet is taken in: anything else than what is known is
    /// the same conflict.
    UpdateStatus = "transactions.updateStatus" {
        params: UpdateStatusParams,
        result: Transaction,
        access: Access::Write,
        visibility: Visibility::Own,
        idempotent: true,
        errors: [NotFound, Conflict, DiskFull, IoError],
        examples: [Example {
            name: "it is in a block",
            params: r#"{"txHash":"0x88df","status":"confirmed","confirmedAt":1764028900,"gasUsed":"21000","gasPriceGwei":"0.01"}"#,
            result: r#"{"txHash":"0x88df","fromAddress":"0xa11ce","toAddress":"0xb0b","amount":"1.5","network":"arbitrum-one","status":"confirmed","gasUsed":"21000","gasPriceGwei":"0.01","timestamp":1764028800,"confirmedAt":1764028900,"revision":1849708136857620}"#,
        }],
    }

    /// Says what transactions come to: how many, and exact sums.
    ///
    /// Without a filter, or by component, status and token alone, the answer is kept ready; any other
    /// filter counts the transactions that match.
    Stats = "transactions.stats" {
        params: StatsParams,
        result: TransactionStats,
        access: Access::Read,
        visibility: Visibility::Own,
        idempotent: true,
        errors: [NotFound],
        examples: [Example {
            name: "all there are",
            params: "{}",
            result: r#"{"count":1,"byStatus":{"pending":1,"confirmed":0,"failed":0},"byToken":[{"token":"ETH","count":1,"amount":"1.5","confirmedAmount":"0"}]}"#,
        }],
    }
}
