#include "tests/e2e/recording_client.hpp"

namespace dkv::e2e {

namespace {
linear::Time now() { return std::chrono::steady_clock::now().time_since_epoch(); }
}  // namespace

RecordingClient::RecordingClient(std::uint32_t number, ClientOptions options)
    : number_(number), client_(std::move(options)) {}

linear::Outcome RecordingClient::get(const std::string& key) { return run(OpCode::get, key, ""); }

linear::Outcome RecordingClient::put(const std::string& key, const std::string& value) {
  return run(OpCode::put, key, value);
}

linear::Outcome RecordingClient::remove(const std::string& key) { return run(OpCode::remove, key, ""); }

linear::Outcome RecordingClient::run(OpCode code, const std::string& key, const std::string& value) {
  const bool asks_created = code == OpCode::put;
  const Operation operation{code, key, value, asks_created};
  history_.push_back(linear::asked(number_, code, key, value, now()));
  const std::vector<OperationResult> results = client_.execute({&operation, 1});
  linear::answered(history_.back(), results.front(), asks_created, now());
  return history_.back().outcome;
}

}  // namespace dkv::e2e
