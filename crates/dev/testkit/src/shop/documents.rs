//! What each document of the large collections looks like.

use super::words::{CITIES, FIRST, MAKERS, QUALITIES, THINGS, family, prose};
use crate::Random;
use crate::raw::{self, Fields};

/// 2023-01-01, when the shop opened, and how long it has been open: three years.
const OPENED: u64 = 1_672_531_200_000;
const OPEN_MILLIS: u64 = 3 * 365 * 86_400_000;

/// How a document of a collection is appended to a buffer.
type Write = fn(&Shop, u64, &mut Vec<u8>);

/// How large everything is, and the seed it is made from.
pub(super) struct Shop {
    seed: u64,
    customers: u64,
    products: u64,
    orders: u64,
    events: u64,
    carts: u64,
    reviews: u64,
    parcels: u64,
    searches: u64,
    photos: u64,
}

/// Collections as generators of random numbers know them.
#[derive(Clone, Copy)]
enum Kind {
    Customer = 1,
    Product,
    Order,
    Event,
    Cart,
    Review,
    Parcel,
    Search,
    Photo,
}

impl Shop {
    /// Divides so many documents among the collections.
    pub fn new(documents: u64, seed: u64) -> Self {
        let share = |per_mille: u64| (u128::from(documents) * u128::from(per_mille) / 1_000) as u64;
        let mut shop = Self {
            seed,
            customers: share(100),
            products: share(12),
            orders: share(190),
            events: 0,
            carts: share(50),
            reviews: share(60),
            parcels: share(40),
            searches: share(30),
            photos: documents / 2_000,
        };
        let others = [
            shop.customers,
            shop.products,
            shop.orders,
            shop.carts,
            shop.reviews,
            shop.parcels,
            shop.searches,
            shop.photos,
        ];
        shop.events = documents - others.iter().sum::<u64>();
        shop
    }

    fn random(&self, kind: Kind, number: u64) -> Random {
        Random::of(self.seed, kind as u64, number)
    }

    /// When the thing of this number came to be: numbers are given in the order of time.
    fn moment(&self, number: u64, of: u64) -> i64 {
        let share = u128::from(OPEN_MILLIS) * u128::from(number) / u128::from(of.max(1));
        (OPENED + share as u64) as i64
    }

    /// The object id of a thing, as a driver would have made it at that moment.
    fn object_id(&self, kind: Kind, number: u64, of: u64) -> [u8; 12] {
        let seconds = (self.moment(number, of) / 1_000) as u32;
        let process = Random::of(self.seed, kind as u64, u64::MAX).next_u64().to_le_bytes();
        let mut id = [0; 12];
        id[..4].copy_from_slice(&seconds.to_be_bytes());
        id[4..9].copy_from_slice(&process[..5]);
        id[9..].copy_from_slice(&(number as u32).to_be_bytes()[1..]);
        id
    }

    fn customer_id(&self, number: u64) -> [u8; 12] {
        self.object_id(Kind::Customer, number, self.customers)
    }
}

/// The large collections, how many documents each has, and how one is written.
pub(super) fn collections(shop: &Shop) -> [(&'static str, u64, Write); 9] {
    [
        ("customers", shop.customers, customer),
        ("products", shop.products, product),
        ("orders", shop.orders, order),
        ("order_events", shop.events, event),
        ("carts", shop.carts, cart),
        ("reviews", shop.reviews, review),
        ("parcels", shop.parcels, parcel),
        ("recent_searches", shop.searches, search),
        ("photos", shop.photos, photo),
    ]
}

fn customer(shop: &Shop, number: u64, out: &mut Vec<u8>) {
    let random = &mut shop.random(Kind::Customer, number);
    let (first, family) = (random.pick(&FIRST), family(random));
    let (city, country, longitude, latitude) = random.pick(&CITIES);
    raw::document(out, |customer| {
        customer.object_id("_id", shop.customer_id(number));
        customer.string("name", &format!("{first} {family}"));
        customer.string("email", &format!("{}.{number}@{}.example", first.to_lowercase(), family.to_lowercase()));
        customer.date("since", shop.moment(number, shop.customers));
        customer.document("address", |address| {
            address.string("street", &format!("{} {}", random.pick(&QUALITIES), 1 + random.below(240)));
            address.string("city", city).string("country", country);
            address.string("postcode", &format!("{:05}", random.below(100_000)));
            address.document("location", |point| {
                let (east, north) = (random.fraction() - 0.5, random.fraction() - 0.5);
                point.string("type", "Point").array("coordinates", |pair| {
                    pair.push(|field, index| field.double(index, longitude + east));
                    pair.push(|field, index| field.double(index, latitude + north));
                });
            });
        });
        if random.chance(30) {
            customer.int64("loyalty_card", (9_000_000_000 + number * 7) as i64);
        }
        if random.chance(15) {
            customer.null("birthday");
        } else {
            // Most are born before 1970: dates are negative.
            customer.date("birthday", (random.below(70 * 31_557_600_000) as i64) - 40 * 31_557_600_000);
        }
        customer.boolean("newsletter", random.chance(55));
        customer.array("tags", |tags| {
            for _ in 0..random.below(4) {
                tags.push(|field, index| {
                    field.string(index, ["gold", "b2b", "new", "returns often", "vip"][random.below(5) as usize])
                });
            }
        });
    });
}

fn sku(number: u64) -> String {
    format!("{}-{number:06}", THINGS[number as usize % THINGS.len()].to_uppercase())
}

fn product(shop: &Shop, number: u64, out: &mut Vec<u8>) {
    let random = &mut shop.random(Kind::Product, number);
    let thing = THINGS[number as usize % THINGS.len()];
    raw::document(out, |product| {
        product.string("_id", &sku(number));
        product.string("name", &format!("{} {thing}", random.pick(&QUALITIES)));
        product.string("maker", random.pick(&MAKERS));
        product.hundredths("price", price(number));
        let words = 10 + random.below(60);
        product.string("description", &prose(random, words));
        product.document("stock", |stock| {
            stock.int32("on_hand", random.below(500) as i32).int32("reserved", random.below(20) as i32);
            stock.int64("sold", random.below(1 << 36) as i64);
        });
        product.document("size", |size| {
            size.double("width_cm", (random.below(2_000) as f64) / 10.0)
                .double("weight_kg", (random.below(50_000) as f64) / 1_000.0);
        });
        product.array("tags", |tags| {
            for _ in 0..1 + random.below(5) {
                tags.push(|field, index| field.string(index, random.pick(&QUALITIES)));
            }
        });
        // Names of attributes are data here, as they so often are.
        product.document("attributes", |attributes| {
            attributes.string("colour", random.pick(&QUALITIES)).boolean("fragile", random.chance(10));
            if random.chance(20) {
                attributes.string("max. load", "12 kg").double("Ø mm", random.fraction() * 40.0);
            }
        });
    });
}

/// What a product costs; orders repeat it.
fn price(product: u64) -> u64 {
    195 + Random::of(0, Kind::Product as u64, product).below(24_000)
}

fn order(shop: &Shop, number: u64, out: &mut Vec<u8>) {
    let random = &mut shop.random(Kind::Order, number);
    let customer = random.skewed(shop.customers);
    // A few orders are of firms and have hundreds of lines.
    let lines = if random.below(500) == 0 { 100 + random.below(300) } else { 1 + random.below(4) };
    let mut total = 0;
    raw::document(out, |order| {
        order.int64("_id", (1_000_000 + number) as i64);
        order.object_id("customer", shop.customer_id(customer));
        order.date("placed", shop.moment(number, shop.orders));
        let status =
            random.pick(&["delivered", "delivered", "delivered", "shipped", "paid", "placed", "returned", "cancelled"]);
        order.string("status", status);
        order.array("lines", |items| {
            for _ in 0..lines {
                let product = random.skewed(shop.products);
                let quantity = 1 + random.skewed(12);
                total += quantity * price(product);
                items.push(|field, index| {
                    field.document(index, |line| {
                        line.string("sku", &sku(product))
                            .int32("quantity", quantity as i32)
                            .hundredths("price", price(product));
                    })
                });
            }
        });
        order.hundredths("total", total);
        order.string("currency", "EUR");
        if status == "returned" {
            let words = 3 + random.below(12);
            order.string("reason", &prose(random, words));
        }
        order.document("payment", |payment| {
            payment.string("method", random.pick(&["card", "transfer", "invoice", "voucher"]));
            payment.binary("reference", 0, &random.next_u64().to_le_bytes());
        });
    });
}

fn event(shop: &Shop, number: u64, out: &mut Vec<u8>) {
    let random = &mut shop.random(Kind::Event, number);
    // Events follow each other as orders do, a little out of order.
    let order = (u128::from(number) * u128::from(shop.orders) / u128::from(shop.events.max(1))) as u64;
    let kind = random.pick(&["placed", "paid", "packed", "shipped", "scanned", "scanned", "delivered", "refunded"]);
    raw::document(out, |event| {
        event.object_id("_id", shop.object_id(Kind::Event, number, shop.events));
        event.int64("order", (1_000_000 + order) as i64).string("kind", kind);
        let at = shop.moment(number, shop.events) + random.below(3_600_000) as i64;
        event.date("at", at);
        // A timestamp is an increment below, seconds above.
        event.value(0x11, "clock", &((at as u64 / 1_000) << 32 | (number & 0xff)).to_le_bytes());
        event.string("by", random.pick(&["web", "app", "warehouse-1", "warehouse-2", "carrier"]));
        if kind == "scanned" {
            let (city, country, ..) = random.pick(&CITIES);
            event.document("place", |place| {
                place.string("city", city).string("country", country);
            });
        }
        event.int32("attempt", 1 + random.skewed(4) as i32);
    });
}

fn cart(shop: &Shop, number: u64, out: &mut Vec<u8>) {
    let random = &mut shop.random(Kind::Cart, number);
    let id = uuid(random);
    raw::document(out, |cart| {
        cart.binary("_id", 4, &id);
        if random.chance(60) {
            cart.object_id("customer", shop.customer_id(random.below(shop.customers)));
        } else {
            cart.null("customer");
        }
        cart.date("touched", shop.moment(number, shop.carts));
        cart.document("items", |items| {
            // Two lines of the same product would be one name twice.
            let mut product = random.skewed(shop.products);
            for _ in 0..random.below(5) {
                items.int32(&sku(product), 1 + random.below(3) as i32);
                product += 1 + random.below(9);
            }
        });
    });
}

fn review(shop: &Shop, number: u64, out: &mut Vec<u8>) {
    let random = &mut shop.random(Kind::Review, number);
    raw::document(out, |review| {
        review.document("_id", |id| {
            id.string("product", &sku(random.skewed(shop.products))).int64("number", number as i64);
        });
        review.object_id("customer", shop.customer_id(random.below(shop.customers)));
        review.int32("stars", 5 - random.skewed(5) as i32);
        review.date("written", shop.moment(number, shop.reviews));
        // Now and then somebody tells a whole story.
        let words = if random.below(200) == 0 { 2_000 } else { 5 + random.skewed(120) };
        review.string("text", &prose(random, words));
        review.document("helpful", |votes| {
            votes.int32("yes", random.skewed(50) as i32).int32("no", random.skewed(20) as i32);
        });
    });
}

/// Carriers number their parcels each in their own way: the `_id`s are of five types.
fn parcel(shop: &Shop, number: u64, out: &mut Vec<u8>) {
    let random = &mut shop.random(Kind::Parcel, number);
    let id = uuid(random);
    raw::document(out, |parcel| {
        match number % 5 {
            0 => parcel.int64("_id", (7_000_000_000 + number) as i64),
            1 => parcel.string("_id", &format!("KL{number:09}DE")),
            2 => parcel.object_id("_id", shop.object_id(Kind::Parcel, number, shop.parcels)),
            3 => parcel.binary("_id", 4, &id),
            _ => parcel.document("_id", |id| {
                id.string("carrier", "Postwagen").int32("year", 2025).int64("number", number as i64);
            }),
        };
        parcel.int64("order", (1_000_000 + random.below(shop.orders)) as i64);
        parcel.double("weight_kg", (random.skewed(30_000) as f64) / 1_000.0);
        parcel.array("scans", |scans| {
            for _ in 0..random.below(6) {
                let (city, ..) = random.pick(&CITIES);
                scans.push(|field, index| field.string(index, city));
            }
        });
    });
}

fn search(shop: &Shop, number: u64, out: &mut Vec<u8>) {
    let random = &mut shop.random(Kind::Search, number);
    raw::document(out, |search| {
        search.object_id("_id", shop.object_id(Kind::Search, number, shop.searches));
        let words = 1 + random.below(4);
        search.string("words", &prose(random, words)).int32("results", random.skewed(400) as i32);
        search.date("at", shop.moment(number, shop.searches)).boolean("clicked", random.chance(40));
    });
}

/// Few and large, and of bytes that no compressor makes smaller; the first of many is of 2 MiB.
fn photo(shop: &Shop, number: u64, out: &mut Vec<u8>) {
    let random = &mut shop.random(Kind::Photo, number);
    let size = if number == 0 && shop.photos >= 5 { 2 << 20 } else { 4_000 + random.skewed(200_000) as usize };
    let mut pixels = Vec::new();
    random.fill(&mut pixels, size);
    raw::document(out, |photo: &mut Fields<'_>| {
        photo.object_id("_id", shop.object_id(Kind::Photo, number, shop.photos));
        photo.string("product", &sku(random.below(shop.products))).string("type", "image/jpeg");
        photo.binary("md5", 5, &uuid(random)).binary("data", 0, &pixels);
    });
}

/// A random UUID, version 4.
fn uuid(random: &mut Random) -> [u8; 16] {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&random.next_u64().to_le_bytes());
    id[8..].copy_from_slice(&random.next_u64().to_le_bytes());
    id[6] = id[6] & 0x0f | 0x40;
    id[8] = id[8] & 0x3f | 0x80;
    id
}
