#include "gateway/node/client_pool.hpp"

namespace dkv {

namespace {
Error none_is_free() { return {Errc::overloaded, "too many requests for other nodes are under way: retry"}; }
}  // namespace

std::vector<OperationResult> ClientPool::execute(const rpc::Request& request) {
  auto client = take();
  if (!client) {
    const Error error = none_is_free();
    return {request.operations.size(), OperationResult::failed(error.code, error.message)};
  }
  CallOptions options(request.read);
  options.ack = request.ack;
  auto results = request.atomic ? client->execute_atomically(request.operations, options)
                                : client->execute(request.operations, options);
  give_back(std::move(*client));
  return results;
}

Result<ScanResult> ClientPool::scan(const ScanOptions& options) {
  auto client = take();
  if (!client) return none_is_free();
  auto page = client->scan(options);
  give_back(std::move(*client));
  return page;
}

std::optional<Client> ClientPool::take() {
  std::unique_lock lock(mutex_);
  freed_.wait_for(lock, options_.deadline, [this] { return !free_.empty() || made_ < most_; });
  if (!free_.empty()) {
    // The one used last: its connections and its topology are the newest.
    std::optional<Client> client(std::move(free_.back()));
    free_.pop_back();
    return client;
  }
  if (made_ == most_) return std::nullopt;
  ++made_;
  return Client(options_);
}

void ClientPool::give_back(Client client) {
  const std::lock_guard lock(mutex_);
  free_.push_back(std::move(client));
  freed_.notify_one();
}

}  // namespace dkv
