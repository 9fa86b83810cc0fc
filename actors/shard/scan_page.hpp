// One page of a scan: some of a copy's records in order, bounded in number, in bytes and in time.
#pragma once

#include "actors/shard/shard_copy.hpp"
#include "messages/rpc.hpp"

namespace dkv {

/// Where `expired` is given, records whose time is over are left out, and their keys added to it: their
/// primary removes them. Errors: those of ShardCopy::get().
Result<rpc::ScanReply> scan_page(ShardCopy& copy, const rpc::Scan& scan, TimePoint now,
                                 std::vector<std::string>* expired = nullptr);

}  // namespace dkv
