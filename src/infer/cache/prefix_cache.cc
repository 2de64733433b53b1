#include "infer/cache/prefix_cache.h"

#include <algorithm>

#include "base/error.h"
#include "base/hash.h"

namespace fathom {

PrefixCache::PrefixCache(PageMemory& memory, std::string_view model, PrefixStore* store)
    : memory_(memory),
      model_(model),
      store_(store),
      page_tokens_(memory.page_tokens()),
      pool_(memory.pages()),
      tree_(pool_, page_tokens_) {}

CacheSequence PrefixCache::Open(const std::string& salt) {
  CacheSequence sequence;
  sequence.root = tree_.HoldRoot(salt);
  return sequence;
}

void PrefixCache::Close(CacheSequence& sequence, std::span<const int32_t> tokens) {
  Release(sequence, tokens);
  tree_.DropRoot(sequence.root);
  sequence.root = nullptr;
}

PrefixTree::Node* PrefixCache::LastNode(const CacheSequence& sequence) const {
  const auto whole = static_cast<size_t>(sequence.length / page_tokens_);
  return whole == 0 ? sequence.root : sequence.nodes[whole - 1];
}

std::span<const int32_t> PrefixCache::PageTokens(std::span<const int32_t> tokens,
                                                 size_t page) const {
  return tokens.subspan(page * static_cast<size_t>(page_tokens_),
                        static_cast<size_t>(page_tokens_));
}

const PrefixKey& PrefixCache::KeyOf(PrefixTree::Node* node) {
  if (!node->key) {
    node->key = node->parent == nullptr ? PrefixKey::Root(model_, PrefixTree::SaltOf(node))
                                        : KeyOf(node->parent).Child(node->tokens);
  }
  return *node->key;
}

bool PrefixCache::TakePage(int32_t* page) {
  if (pool_.free() == 0 && !tree_.EvictOne()) return false;
  *page = pool_.Take();
  return true;
}

void PrefixCache::Extend(CacheSequence& sequence, std::span<const int32_t> tokens, int64_t limit,
                         bool all) {
  if (sequence.length % page_tokens_ != 0) return;
  // A page that was reserved and not written to gives way to one that is filled.
  const auto drop_unwritten = [&] {
    while (static_cast<int64_t>(sequence.pages.size()) > sequence.length / page_tokens_) {
      pool_.Release(sequence.pages.back());
      sequence.pages.pop_back();
      sequence.nodes.pop_back();
    }
  };
  while (sequence.length + page_tokens_ <= limit) {
    const auto page = static_cast<size_t>(sequence.length / page_tokens_);
    PrefixTree::Node* const node = tree_.Find(LastNode(sequence), PageTokens(tokens, page));
    if (node != nullptr) {
      drop_unwritten();
      tree_.Pin(node);
      sequence.pages.push_back(node->page);
      sequence.nodes.push_back(node);
      sequence.length += page_tokens_;
      continue;
    }
    if (!all || store_ == nullptr) break;
    drop_unwritten();
    if (!TakeFromStore(sequence, PageTokens(tokens, page))) break;
  }
  if (all && sequence.length < limit) {
    drop_unwritten();
    TakeCopy(sequence, tokens, limit);
  }
}

bool PrefixCache::TakeFromStore(CacheSequence& sequence, std::span<const int32_t> tokens) {
  PrefixTree::Node* const parent = LastNode(sequence);
  const PrefixKey key = KeyOf(parent).Child(tokens);
  if (!store_->Contains(key)) return false;
  int32_t page;
  if (!TakePage(&page)) return false;
  std::vector<std::byte> bytes(static_cast<size_t>(memory_.page_bytes()));
  if (!store_->Load(key, tokens, bytes)) {
    pool_.Release(page);
    return false;
  }
  memory_.WritePage(page, bytes);
  PrefixTree::Node* const node = tree_.Insert(parent, tokens, page);
  node->key = key;
  sequence.pages.push_back(page);
  sequence.nodes.push_back(node);
  sequence.length += page_tokens_;
  sequence.taken_from_files += page_tokens_;
  return true;
}

void PrefixCache::TakeCopy(CacheSequence& sequence, std::span<const int32_t> tokens,
                           int64_t limit) {
  const auto rest =
      tokens.subspan(static_cast<size_t>(sequence.length),
                     static_cast<size_t>(std::min(limit - sequence.length, page_tokens_)));
  const auto [node, common] = tree_.FindLongest(LastNode(sequence), rest);
  if (node == nullptr) return;
  tree_.Pin(node);  // or making room might evict it
  int32_t page;
  if (TakePage(&page)) {
    memory_.CopyPage(node->page, page);
    sequence.pages.push_back(page);
    sequence.nodes.push_back(nullptr);
    sequence.length += common;
  }
  tree_.Unpin(node);
}

bool PrefixCache::Reserve(CacheSequence& sequence, int64_t length) {
  const int64_t wanted = Pages(length) - static_cast<int64_t>(sequence.pages.size());
  if (wanted > available()) return false;
  for (int64_t i = 0; i < wanted; ++i) {
    int32_t page;
    FATHOM_CHECK(TakePage(&page));
    sequence.pages.push_back(page);
    sequence.nodes.push_back(nullptr);
  }
  return true;
}

void PrefixCache::Commit(CacheSequence& sequence, std::span<const int32_t> tokens, int64_t length,
                         bool publish_tail) {
  FATHOM_CHECK(length >= sequence.length && length <= static_cast<int64_t>(tokens.size()) &&
               Pages(length) <= static_cast<int64_t>(sequence.pages.size()));
  const auto first = static_cast<size_t>(sequence.length / page_tokens_);
  const auto end = static_cast<size_t>(length / page_tokens_);
  if (end > first && sequence.tail != nullptr) {
    tree_.Remove(sequence.tail);
    sequence.tail = nullptr;
  }
  for (size_t i = first; i < end; ++i) {
    PrefixTree::Node* const parent = i == 0 ? sequence.root : sequence.nodes[i - 1];
    const auto page_tokens = PageTokens(tokens, i);
    if (PrefixTree::Node* const same = tree_.Find(parent, page_tokens)) {
      // Another sequence has computed the same bits: one page is enough.
      tree_.Pin(same);
      pool_.Release(sequence.pages[i]);
      sequence.pages[i] = same->page;
      sequence.nodes[i] = same;
      continue;
    }
    PrefixTree::Node* const node = tree_.Insert(parent, page_tokens, sequence.pages[i]);
    sequence.nodes[i] = node;
    if (store_ != nullptr && !store_->Contains(KeyOf(node))) {
      std::vector<std::byte> bytes(static_cast<size_t>(memory_.page_bytes()));
      memory_.ReadPage(node->page, bytes);
      store_->Save(*node->key, node->tokens, std::move(bytes));
    }
  }
  sequence.length = length;
  if (publish_tail) PublishTail(sequence, tokens);
}

void PrefixCache::PublishTail(CacheSequence& sequence, std::span<const int32_t> tokens) {
  const int64_t count = sequence.length % page_tokens_;
  if (count == 0) return;
  if (sequence.tail != nullptr) {
    if (static_cast<int64_t>(sequence.tail->tokens.size()) == count) return;
    tree_.Remove(sequence.tail);
    sequence.tail = nullptr;
  }
  const auto rest =
      tokens.subspan(static_cast<size_t>(sequence.length - count), static_cast<size_t>(count));
  PrefixTree::Node* const parent = LastNode(sequence);
  if (tree_.FindLongest(parent, rest).second == count) return;  // a sibling has all of it
  sequence.tail = tree_.Insert(parent, rest,
                               sequence.pages[static_cast<size_t>(sequence.length / page_tokens_)]);
}

void PrefixCache::Release(CacheSequence& sequence, std::span<const int32_t> tokens) {
  PublishTail(sequence, tokens);
  // The deepest first: it is what is evicted first.
  while (!sequence.pages.empty()) {
    PrefixTree::Node* const node = sequence.nodes.back();
    const int32_t page = sequence.pages.back();
    if (node != nullptr) {
      tree_.Unpin(node);
    } else if (sequence.tail != nullptr && sequence.tail->page == page) {
      tree_.Unpin(sequence.tail);
    } else {
      pool_.Release(page);
    }
    sequence.pages.pop_back();
    sequence.nodes.pop_back();
  }
  sequence.tail = nullptr;
  sequence.length = 0;
}

uint64_t PrefixCache::UnitUnderWay(const CacheSequence& sequence, std::span<const int32_t> tokens,
                                   int64_t limit) const {
  const int64_t begin = sequence.length / page_tokens_ * page_tokens_;
  const int64_t end = std::min(begin + page_tokens_, limit);
  const auto unit = tokens.subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin));
  // With nothing but its last token to compute there is nothing to wait for: it is a unit of its
  // own.
  if (sequence.length == begin &&
      tree_.FindLongest(LastNode(sequence), unit).second >= end - begin - 1) {
    return reinterpret_cast<uint64_t>(&sequence);
  }
  // Two units with one hash would only wait for each other.
  Hash64 hash;
  hash.UpdateField(reinterpret_cast<uint64_t>(LastNode(sequence)));
  hash.Update(unit.data(), unit.size_bytes());
  return hash.Digest();
}

}  // namespace fathom
