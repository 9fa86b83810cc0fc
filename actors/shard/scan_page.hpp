// One page of a scan: some of a copy's records in order, bounded in number, in bytes and in time.
#pragma once

#include "actors/shard/shard_copy.hpp"
#include "messages/rpc.hpp"

namespace dkv {

/// Errors: those of ShardCopy::get().
Result<rpc::ScanReply> scan_page(ShardCopy& copy, const rpc::Scan& scan);

}  // namespace dkv
