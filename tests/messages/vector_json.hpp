// messages/vectors.json: the JSON meaning of a vector as our structs, and its hex as bytes.
#pragma once

#include <deque>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "messages/frame.hpp"
#include "messages/peer.hpp"
#include "messages/rpc.hpp"

namespace dkv::test {

/// The whole file. Throws when it cannot be read: a test without its vectors has failed.
const nlohmann::json& vectors();

std::string from_hex(const std::string& hex);
std::string to_hex(std::string_view bytes);

/// `storage` keeps the keys and values that the result points into; a deque, whose elements stay put.
rpc::Request request_of(const nlohmann::json& meaning, std::deque<std::string>& storage);
rpc::Reply reply_of(const nlohmann::json& meaning);
std::vector<OpCode> asked_of(const nlohmann::json& asked);
FrameView frame_of(const nlohmann::json& meaning, std::deque<std::string>& storage);
peer::Message peer_message_of(const nlohmann::json& meaning);

}  // namespace dkv::test
