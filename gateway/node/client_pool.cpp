#include "gateway/node/client_pool.hpp"

namespace dkv {

namespace {
// Of the threads that serve requests, so many may wait for a client.
constexpr std::size_t kMostWaiting = 16;

Error none_is_free() { return {Errc::overloaded, "too many requests for other nodes are under way: retry"}; }
}  // namespace

template <class Call>
auto ClientPool::with_client(const Call& call) -> std::optional<decltype(call(std::declval<Client&>()))> {
  auto client = take();
  if (!client) return std::nullopt;
  try {
    auto answer = call(*client);
    give_back(std::move(client));
    return answer;
  } catch (...) {
    give_back(std::nullopt);  // its place, for a new one
    throw;
  }
}

std::vector<OperationResult> ClientPool::execute(const rpc::Request& request,
                                                 std::shared_ptr<Session> session) {
  auto results = with_client(
      [&](Client& client) { return client.execute_request(request, session, most_value_bytes_); });
  if (results) return std::move(*results);
  const Error error = none_is_free();
  return {request.operations.size(), OperationResult::failed(error.code, error.message)};
}

Result<ScanResult> ClientPool::scan(const ScanOptions& options) {
  auto page = with_client([&](Client& client) { return client.scan(options); });
  return page ? std::move(*page) : none_is_free();
}

std::optional<Client> ClientPool::take() {
  std::unique_lock lock(mutex_);
  if (free_.empty() && made_ == most_ && waiting_ < kMostWaiting) {
    ++waiting_;
    freed_.wait_for(lock, options_.deadline, [this] { return !free_.empty() || made_ < most_ || stopped_; });
    --waiting_;
  }
  if (stopped_) return std::nullopt;
  if (!free_.empty()) {
    // The one used last: its connections and its topology are the newest.
    std::optional<Client> client(std::move(free_.back()));
    free_.pop_back();
    return client;
  }
  if (made_ == most_) return std::nullopt;
  std::optional<Client> client(std::in_place, options_);
  ++made_;
  return client;
}

void ClientPool::stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  freed_.notify_all();
}

void ClientPool::give_back(std::optional<Client> client) {
  const std::lock_guard lock(mutex_);
  if (client) {
    free_.push_back(std::move(*client));
  } else {
    --made_;
  }
  freed_.notify_one();
}

}  // namespace dkv
